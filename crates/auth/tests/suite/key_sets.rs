//! Sets of keys as issuers serve them: rotation, floods, and what a set may not do.

use std::{sync::Arc, time::Duration};

use gateway_auth::{
    Algorithm, Authenticator, JwksOrigin, JwksSource, Key, KeyFault, KeySpec, Keyring, TokenRules, Verdict,
};
use gateway_domain::{Code, Detail, Token};
use serde_json::{Value, json};

use crate::support::*;

fn with(entry: &Value, name: &str, value: Value) -> Value {
    let mut entry = entry.clone();
    entry[name] = value;
    entry
}

#[tokio::test(start_paused = true)]
async fn a_rotation_refuses_nobody_and_asks_once() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("old"))]));
    let judge = judge_of(&server, vec![source()]);
    judge.keys().refresh(now()).await;
    assert_eq!(server.asked(), 1);
    assert!(ask(&judge, &minted(&key("old"), None), now()).await.is_ok());

    server.serve(URL, set([entry(&key("old")), entry(&key("new"))]));
    server.slow(Duration::from_millis(300));
    let token = minted(&key("new"), None);
    assert!(matches!(judge.verify(&token, later(1)), Verdict::KeyWanted(_)));
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let (judge, token) = (judge.clone(), token.clone());
            tokio::spawn(async move { ask(&judge, &token, later(1)).await })
        })
        .collect();
    for one in waiting {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!(server.asked(), 2, "a single flight");
    assert!(ask(&judge, &minted(&key("old"), None), later(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_key_published_while_a_fetch_is_under_way_is_found_by_a_second_one() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("old"))]));
    let judge = judge_of(&server, vec![source()]);
    judge.keys().refresh(now()).await;
    server.slow(Duration::from_millis(300));
    let stranger = {
        let judge = judge.clone();
        tokio::spawn(async move { ask(&judge, &minted(&key("stranger"), None), later(1)).await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.serve(URL, set([entry(&key("new"))]));
    assert!(ask(&judge, &minted(&key("new"), None), later(1)).await.is_ok());
    unknown(stranger.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_key_ids_does_not_flood_the_issuer() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("known"))]));
    let judge = judge_of(&server, vec![source()]);
    judge.keys().refresh(now()).await;
    let before = server.asked();
    for n in 0..200 {
        unknown(ask(&judge, &minted(&key(&format!("random-{n}")), None), later(1)).await);
    }
    assert_eq!(server.asked() - before, 3, "a few at once");
    for n in 0..200 {
        unknown(ask(&judge, &minted(&key(&format!("again-{n}")), None), later(11)).await);
    }
    assert_eq!(server.asked() - before, 4, "then one in ten seconds");
    assert!(ask(&judge, &minted(&key("known"), None), later(11)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_id_that_was_not_there_is_not_asked_for_again_for_a_while() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("known"))]));
    let judge = judge_of(&server, vec![source()]);
    judge.keys().refresh(now()).await;
    let token = minted(&key("lost"), None);
    unknown(ask(&judge, &token, later(1)).await);
    assert_eq!(server.asked(), 2);
    unknown(ask(&judge, &token, later(60)).await);
    assert_eq!(server.asked(), 2);
    unknown(ask(&judge, &token, later(61)).await);
    assert_eq!(server.asked(), 3);
    // What the background finds counts at once.
    server.serve(URL, set([entry(&key("lost"))]));
    judge.keys().refresh(later(600)).await;
    assert!(ask(&judge, &token, later(600)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn entries_that_may_not_verify_are_dropped() {
    let server = KeyServer::default();
    let good = entry(&key("good"));
    let mut strange = good.clone();
    strange["kid"] = json!("x".repeat(257));
    let entries = [
        good.clone(),
        json!({"kty": "oct", "kid": "secret", "k": part(std::str::from_utf8(SECRET).unwrap()), "alg": "HS256"}),
        json!({"kty": "oct", "kid": "secret", "k": part(std::str::from_utf8(SECRET).unwrap())}),
        with(&good, "use", json!("enc")),
        with(&good, "key_ops", json!(["encrypt"])),
        with(&good, "alg", json!("RS256")),
        with(&good, "alg", json!("none")),
        with(&good, "alg", json!(1)),
        with(&good, "d", json!("AAAA")),
        with(&good, "kid", json!(7)),
        strange,
        json!("not an object"),
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "weak"}),
    ];
    server.serve(URL, set(entries));
    let judge = judge_of(&server, vec![source()]);
    judge.keys().refresh(now()).await;
    let status = &judge.keys().status(now())[0];
    assert_eq!((status.keys, status.dropped), (1, 12));
    assert!(done(judge.verify(&minted(&key("good"), None), now())).is_ok());
    is(
        ask(&judge, &with_header(json!({"kid": "secret"}), json!({})), now()).await,
        Code::TokenInvalid,
        Some(Detail::Algorithm),
    );
}

#[tokio::test(start_paused = true)]
async fn an_entry_without_an_algorithm_serves_its_family_within_the_configured_bounds() {
    let server = KeyServer::default();
    let mut open = entry(&signing(Algorithm::Rs256, Some("rsa"), "main"));
    open.as_object_mut().unwrap().remove("alg");
    server.serve(URL, set([open, entry(&key("ec"))]));
    let algorithms = vec![Algorithm::Rs256, Algorithm::Ps256, Algorithm::Hs256];
    let judge = judge_of(&server, vec![JwksSource { algorithms, ..source() }]);
    judge.keys().refresh(now()).await;
    assert_eq!(judge.keys().status(now())[0].keys, 1);
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        assert!(done(judge.verify(&minted(&signing(algorithm, Some("rsa"), "main"), None), now())).is_ok());
    }
    for signer in
        [signing(Algorithm::Rs512, Some("rsa"), "main"), key("ec"), signing(Algorithm::Es256, Some("rsa"), "main")]
    {
        is(ask(&judge, &minted(&signer, None), now()).await, Code::TokenInvalid, Some(Detail::Algorithm));
    }
    // A known id with another algorithm is no reason to ask again.
    assert_eq!(server.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_id_of_one_issuer_never_verifies_a_token_of_another() {
    let server = KeyServer::default();
    let (good, evil) = (signing(Algorithm::Es256, Some("1"), "main"), signing(Algorithm::Es256, Some("1"), "thief"));
    server.serve("https://good/keys", set([entry(&good)]));
    server.serve("https://evil/keys", set([entry(&evil)]));
    let of = |name: &str| JwksSource {
        issuer: Some(format!("https://{name}").into()),
        user_prefix: Some(format!("{name}:").into()),
        ..JwksSource::new(name, JwksOrigin::Url(format!("https://{name}/keys").into()))
    };
    let judge = judge_of(&server, vec![of("good"), of("evil")]);
    judge.keys().refresh(now()).await;
    let user = |token: Token| done(judge.verify(&token, now())).map(|principal| principal.user.to_string());
    assert_eq!(user(minted(&good, Some("https://good"))).unwrap(), "good:ann");
    assert_eq!(user(minted(&evil, Some("https://evil"))).unwrap(), "evil:ann");
    assert_eq!(user(minted(&evil, Some("https://good"))).unwrap_err().detail, Some(Detail::Signature));
    assert_eq!(user(minted(&good, None)).unwrap_err().detail, Some(Detail::Issuer));
    assert_eq!(user(minted(&good, Some("https://third"))).unwrap_err().detail, Some(Detail::Issuer));
    let fault = Keyring::new(vec![], vec![of("good"), JwksSource { user_prefix: None, ..of("evil") }], server.fetch());
    assert!(matches!(fault, Err(KeyFault::UserPrefix(_))));
}

#[tokio::test(start_paused = true)]
async fn a_set_without_an_issuer_serves_no_issuer_that_another_answers_for() {
    let server = KeyServer::default();
    let open = signing(Algorithm::Es256, Some("1"), "thief");
    server.serve(URL, set([entry(&open)]));
    let own = Key::new(KeySpec { issuer: Some("https://own".into()), ..hs256(Some("main")) }).unwrap();
    let judge = judge(Keyring::new(vec![own], vec![source()], server.fetch()).unwrap());
    judge.keys().refresh(now()).await;
    assert!(done(judge.verify(&minted(&open, Some("https://anybody")), now())).is_ok());
    assert!(done(judge.verify(&minted(&open, None), now())).is_ok());
    invalid(&judge, &minted(&open, Some("https://own")), Detail::Issuer);
}

#[tokio::test(start_paused = true)]
async fn a_set_from_an_address_grants_no_powers_unless_told_so() {
    let roles = |bound: Option<&'static str>, origin: JwksOrigin| async move {
        let server = KeyServer::default();
        server.serve(URL, set([entry(&key("k"))]));
        let roles = bound.map(|name| vec![name.parse().unwrap()]);
        let judge = judge_of(&server, vec![JwksSource { roles, ..JwksSource::new("idp", origin) }]);
        judge.keys().refresh(now()).await;
        let mut grant = grant("ann");
        grant.roles = ["admin", "agent", "service"].map(|name| name.parse().unwrap()).to_vec();
        let token = issuer(key("k"), None).mint(&grant, now()).unwrap().token;
        let principal = done(judge.verify(&token, now())).unwrap();
        principal.roles.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let url = || JwksOrigin::Url(URL.into());
    assert_eq!(roles(None, url()).await, ["agent"]);
    assert_eq!(roles(Some("admin"), url()).await, ["admin"]);
    let file = JwksOrigin::Given(set([entry(&key("k"))]));
    assert_eq!(roles(None, file).await, ["admin", "agent", "service"]);
}

#[tokio::test(start_paused = true)]
async fn a_set_given_by_hand_is_read_at_once_and_replaced_at_once() {
    let given = |bytes: Vec<u8>| JwksSource::new("file", JwksOrigin::Given(bytes));
    let server = KeyServer::default();
    assert!(matches!(Keyring::new(vec![], vec![given(vec![])], server.fetch()), Err(KeyFault::Set(_))));
    let judge = judge_of(&server, vec![given(set([entry(&key("old"))]))]);
    assert!(done(judge.verify(&minted(&key("old"), None), now())).is_ok());
    unknown(done(judge.verify(&minted(&key("new"), None), now())));
    assert!(judge.keys().replace_set("file", b"{}", now()).is_err());
    assert!(done(judge.verify(&minted(&key("old"), None), now())).is_ok());
    judge.keys().replace_set("file", &set([entry(&key("new"))]), now()).unwrap();
    assert!(done(judge.verify(&minted(&key("new"), None), now())).is_ok());
    unknown(done(judge.verify(&minted(&key("old"), None), now())));
    assert_eq!(judge.keys().replace_set("no", b"{}", now()), Err(KeyFault::NoSuchSource("no".into())));
    judge.keys().refresh(later(100_000)).await;
    assert_eq!(server.asked(), 0);
    assert!(judge.keys().status(later(100_000))[0].usable);
    assert!(format!("{:?}", given(set([]))).contains("Given(..)") && format!("{:?}", source()).contains(URL));
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_key_id_is_tried_against_the_set_and_makes_nobody_ask() {
    let server = KeyServer::default();
    server.serve(URL, set([entry(&key("k"))]));
    let judge = judge_of(&server, vec![source()]);
    let anonymous = |name| minted(&signing(Algorithm::Es256, None, name), None);
    assert!(ask(&judge, &anonymous("main"), now()).await.is_ok(), "the first asks, for nothing is there yet");
    is(ask(&judge, &anonymous("thief"), now()).await, Code::TokenInvalid, Some(Detail::Signature));
    assert_eq!(server.asked(), 1);
    // A key of the set without an id serves tokens with one that nothing else has.
    server.serve(URL, set([entry(&signing(Algorithm::Es256, None, "main"))]));
    judge.keys().refresh(later(300)).await;
    assert!(ask(&judge, &minted(&key("any"), None), later(300)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_key_of_the_house_is_not_delayed_by_a_set_out_of_reach() {
    let server = KeyServer::default();
    server.fail(URL);
    let own = Key::new(hs256(Some("main"))).unwrap();
    let keys = Keyring::new(vec![own], vec![source()], server.fetch()).unwrap();
    let judge = Authenticator::new(TokenRules::default(), Arc::new(keys));
    admitted(&judge, &with_header(json!({"kid": "main"}), json!({})));
    let forged = hs256_signed(r#"{"alg":"HS256","kid":"main"}"#, &claims(json!({})).to_string(), &[0; 32]);
    invalid(&judge, &forged, Detail::Signature);
    assert_eq!(server.asked(), 0);
}
