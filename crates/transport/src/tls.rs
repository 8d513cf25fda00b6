//! TLS from PEM: certificate and key in, a configuration for the listener out, or what is wrong with them.

use std::{fmt, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
};

/// A certificate chain and its key, ready to serve.
#[derive(Clone)]
pub struct TlsMaterial(Arc<ServerConfig>);

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// No certificate in the certificate file.
    #[error("the certificate file has no `BEGIN CERTIFICATE` block")]
    NoCertificate,
    /// A block that cannot be read.
    #[error("the certificate file cannot be read as PEM: {0}")]
    Certificate(pem::Error),
    /// No private key in the key file.
    #[error("the key file has no `BEGIN PRIVATE KEY` block (an encrypted key cannot be used)")]
    NoKey,
    /// A block that cannot be read.
    #[error("the key file cannot be read as PEM: {0}")]
    Key(pem::Error),
    /// They do not fit together, or cannot be used.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(rustls::Error),
}

impl TlsMaterial {
    /// Reads a chain (the server's own certificate first) and its key (PKCS#8, PKCS#1 or SEC1).
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsFault> {
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>().map_err(TlsFault::Certificate)?;
        if chain.is_empty() {
            return Err(TlsFault::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|fault| match fault {
            pem::Error::NoItemsFound => TlsFault::NoKey,
            other => TlsFault::Key(other),
        })?;
        // The provider is named: a default of the process could be another's.
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsFault::Unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsFault::Unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// The configuration for [`crate::serve`].
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsMaterial(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.into()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn fault(certificate: &str, key: &str) -> String {
        let fault = TlsMaterial::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err().to_string();
        assert!(!fault.contains("BEGIN PRIVATE KEY-----"), "no key in a fault: {fault}");
        fault
    }

    #[test]
    fn a_pair_is_taken_and_offers_only_http_1() {
        let (certificate, key) = pair("gateway.example");
        let material = TlsMaterial::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(material.config().alpn_protocols, [b"http/1.1".to_vec()]);
        assert_eq!(format!("{material:?}"), "TlsMaterial(***)");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let (certificate, key) = pair("a.example");
        let (_, other_key) = pair("b.example");
        assert!(fault("", &key).contains("BEGIN CERTIFICATE"));
        assert!(fault(&certificate, "").contains("BEGIN PRIVATE KEY"));
        assert!(fault(&certificate, &certificate).contains("key"));
        assert!(fault(&certificate, &other_key).contains("cannot be used"));
        assert!(fault("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", &key).contains("PEM"));
        assert!(fault(&certificate, "-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n").contains("PEM"));
    }
}
