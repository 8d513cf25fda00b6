//! No text makes the door panic, and no change of a good token is a good token.

use std::sync::LazyLock;

use gateway_auth::{Algorithm, Authenticator, Keyring, inspect};
use gateway_domain::Token;
use proptest::prelude::*;
use serde_json::json;

use crate::support::*;

static DOOR: LazyLock<Authenticator> = LazyLock::new(|| {
    let keys = [Algorithm::Hs256, Algorithm::Es256, Algorithm::EdDsa]
        .map(|algorithm| verifying(&signing(algorithm, None, "main")));
    judge(Keyring::new(keys.to_vec(), vec![], no_fetch()).unwrap())
});

fn good(algorithm: Algorithm) -> Token {
    minted(&signing(algorithm, None, "main"), None)
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let token = Token::new(text);
        let _ = inspect(&token);
        prop_assert!(done(DOOR.verify(&token, now())).is_err());
    }

    #[test]
    fn no_parts_panic(header in "[\\x00-\\x7f]{0,80}", claims in "[\\x00-\\x7f]{0,80}", signature in prop::collection::vec(any::<u8>(), 0..80)) {
        use base64::Engine as _;
        let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature);
        for header in [header.as_str(), r#"{"alg":"ES256"}"#, r#"{"alg":"EdDSA"}"#, r#"{"alg":"HS256"}"#] {
            let token = Token::new(format!("{}.{}.{signature}", part(header), part(&claims)));
            let _ = inspect(&token);
            prop_assert!(done(DOOR.verify(&token, now())).is_err());
        }
    }

    #[test]
    fn no_signed_claims_panic(claims in "\\{(\"(sub|exp|nbf|iat|roles|limits|jti|plan)\":(1e300|-1|\"x\"|\\[\\]|null|\\{\\}|1900000000),){0,6}\"z\":0\\}") {
        let _ = done(DOOR.verify(&hs256_signed(r#"{"alg":"HS256"}"#, &claims, generated(Algorithm::Hs256, "main").private.as_bytes()), now()));
    }

    #[test]
    fn a_good_token_with_another_byte_anywhere_is_refused(at in any::<prop::sample::Index>(), flip in 1u8..=255) {
        for algorithm in [Algorithm::Hs256, Algorithm::Es256, Algorithm::EdDsa] {
            let token = good(algorithm);
            let mut bytes = token.expose().as_bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            prop_assert!(done(DOOR.verify(&Token::new(text), now())).is_err());
        }
    }

    #[test]
    fn a_good_token_cut_short_or_drawn_out_is_refused(at in any::<prop::sample::Index>(), more in "[A-Za-z0-9_.-]{1,8}") {
        let token = good(Algorithm::Hs256);
        let text = token.expose();
        prop_assert!(done(DOOR.verify(&Token::new(&text[..at.index(text.len())]), now())).is_err());
        for longer in [format!("{text}{more}"), format!("{more}{text}")] {
            prop_assert!(done(DOOR.verify(&Token::new(longer), now())).is_err());
        }
    }

    #[test]
    fn any_user_that_a_token_can_name_is_the_user_that_comes_in(user in "[^\\p{C}]{1,64}") {
        let door = judge(ring([hs256(None)]));
        prop_assert_eq!(done(door.verify(&token(json!({"sub": user})), now())).unwrap().user.to_string(), user);
    }
}
