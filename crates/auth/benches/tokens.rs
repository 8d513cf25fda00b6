//! What the check of a token costs, by its algorithm: from the text to a principal.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on says so by panicking")]

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::Criterion;
use gateway_auth::{
    Algorithm, Authenticator, FetchFault, Grant, Issuer, IssuerRules, Key, KeySpec, Keyring, SigningKey,
    SigningMaterial, TokenRules, Verdict, claims::ClaimNames, generate,
};
use gateway_domain::{Now, Tick, Timestamp};

const NOW: Now = Now { tick: Tick::ZERO, wall: Timestamp::from_seconds(1_800_000_000) };

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
        .configure_from_args();
    for algorithm in [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        check(&mut criterion, algorithm);
    }
    criterion.final_summary();
}

fn check(criterion: &mut Criterion, algorithm: Algorithm) {
    let made = generate(algorithm).unwrap();
    let private = made.private.trim().as_bytes().to_vec();
    let material =
        if made.public.is_some() { SigningMaterial::PrivatePem(private) } else { SigningMaterial::Secret(private) };
    let signing = SigningKey::new(Some("main".into()), algorithm, material).unwrap();
    let key = Key::new(KeySpec {
        kid: Some("main".into()),
        name: "main".into(),
        algorithm,
        issuer: None,
        user_prefix: None,
        roles: None,
        material: signing.verifying_material(),
    });
    let nothing_to_fetch = Arc::new(|_| Box::pin(async { Err(FetchFault("no network".into())) }) as _);
    let keys = Keyring::new(vec![key.unwrap()], Vec::new(), nothing_to_fetch).unwrap();
    let authenticator = Authenticator::new(TokenRules::default(), Arc::new(keys));
    let rules = IssuerRules {
        issuer: None,
        audience: Vec::new(),
        access_ttl: Duration::from_secs(900),
        claims: ClaimNames::default(),
    };
    let grant = Grant {
        user: "ann".parse().unwrap(),
        roles: vec!["dashboard".parse().unwrap()],
        permissions: Vec::new(),
        plan: None,
        agent: None,
    };
    let minted = Issuer::new(signing, rules).unwrap().mint(&grant, NOW).unwrap();
    criterion.bench_function(&format!("token/{algorithm}"), |bencher| {
        bencher.iter(|| match authenticator.verify(black_box(&minted.token), NOW) {
            Verdict::Done(Ok(principal)) => principal,
            _ => unreachable!("the token is good"),
        });
    });
}
