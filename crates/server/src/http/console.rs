//! The console: a page for operators, served from the program itself. It holds no secret and asks for none: everything
//! that it shows comes from the API, with a credential that the page keeps to itself.
//!
//! The page may load nothing but its own files and call nobody but the gateway that served it; nobody may frame it.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hasher},
    sync::LazyLock,
};

use gateway_domain::{Code, Refusal};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use warp::reply::Response;

use super::{
    Call, Site,
    answer::{Answer, Faulty},
};
use crate::gate::Check;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JSON: &str = "application/json";

/// A file of the page.
#[derive(Debug)]
struct Asset {
    kind: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($kind:ident $path:literal,)*) => {
        /// Every file of the page, by its path.
        const ASSETS: &[(&str, Asset)] = &[$(
            (concat!("/", $path), Asset { kind: $kind, text: include_str!(concat!("../console/", $path)) }),
        )*];
    };
}

assets! {
    SVG "icon.svg",
    CSS "style.css",
    CSS "parts.css",
    SCRIPT "main.js",
    SCRIPT "access.js",
    SCRIPT "api.js",
    SCRIPT "chart.js",
    SCRIPT "codes.js",
    SCRIPT "dialog.js",
    SCRIPT "dom.js",
    SCRIPT "format.js",
    SCRIPT "login.js",
    SCRIPT "poll.js",
    SCRIPT "shell.js",
    SCRIPT "table.js",
    SCRIPT "theme.js",
    SCRIPT "views/agents.js",
    SCRIPT "views/bans.js",
    SCRIPT "views/connections.js",
    SCRIPT "views/overview.js",
    SCRIPT "views/refusals.js",
    SCRIPT "views/rooms.js",
    SCRIPT "views/trial.js",
    SCRIPT "views/trial/calls.js",
    SCRIPT "views/trial/visit.js",
    SCRIPT "views/users.js",
}

const PAGE: Asset = Asset { kind: HTML, text: include_str!("../console/index.html") };
const ROOT: &str = "/console";

/// What a browser is told about every answer.
const LAWS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Answers a request for the page or one of its files; none, where it is about something else.
pub(super) fn answer(site: &Site, call: &Call) -> Option<Answer> {
    let rest = call.path.strip_prefix(ROOT).filter(|_| site.console)?;
    let known = match rest {
        "" => Some((PAGE.kind, PAGE.text.to_owned())),
        // Relative, so that a proxy may put the gateway under a path of its own.
        "/" => return Some(only_read(call).map(|()| moved("../console"))),
        "/site.json" => Some((JSON, about(site).to_string())),
        "/codes.json" => Some((JSON, CODES.to_string())),
        path => {
            let found = ASSETS.iter().find(|(own, _)| *own == path);
            found.map(|(_, asset)| (asset.kind, asset.text.to_owned()))
        }
    };
    let (kind, text) = known?;
    Some(only_read(call).map(|()| file(call, kind, text)))
}

/// The page is looked at, and never written to.
fn only_read(call: &Call) -> Result<(), Faulty> {
    if call.method == Method::GET || call.method == Method::HEAD {
        return Ok(());
    }
    let refusal = Refusal::new(Code::MethodNotAllowed, "this address takes GET, HEAD");
    Err(Faulty { allow: Some("GET, HEAD".into()), ..refusal.into() })
}

/// What the page knows before anybody has logged in: nothing that a stranger could not find out by trying.
fn about(site: &Site) -> Value {
    json!({ "dev": site.house.dev, "issues": site.doors && site.house.issuing.is_some() })
}

/// What each code means and what to do about it; which question of the gate it answers, before the user is known and after.
static CODES: LazyLock<Value> = LazyLock::new(|| {
    let told = Code::ALL.iter().map(|code| {
        let remedy = gateway_domain::remedy::remedy(*code);
        let asks = [false, true].map(|known| Check::behind(*code, known).map(Check::question));
        let told = json!({
            "meaning": code.meaning(),
            "http": code.http_status(),
            "close": code.close_code(),
            "then": code.advice().map(|advice| advice.name()),
            "client": remedy.client,
            "operator": remedy.operator,
            "asks": asks,
        });
        (code.name(), told)
    });
    json!(told.collect::<BTreeMap<_, _>>())
});

fn file(call: &Call, kind: &'static str, text: String) -> Response {
    let tag = etag(&text);
    let fresh = call.headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let fresh = fresh.flat_map(|value| value.split(',')).any(|own| own.trim().trim_start_matches("W/") == tag);
    let mut response = if fresh {
        let mut response = Response::new(Vec::new().into());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(text.into())
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // Kept, and asked about each time: another version of the program has another page.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    lawful(response)
}

fn moved(to: &'static str) -> Response {
    let mut response = Response::new(Vec::new().into());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(to));
    lawful(response)
}

fn lawful(mut response: Response) -> Response {
    for (name, law) in LAWS {
        response.headers_mut().insert(name, HeaderValue::from_static(law));
    }
    response
}

/// Two texts of different content have different tags; nobody has to fear a forger, for the texts are ours.
fn etag(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    format!("\"{:016x}\"", hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console")
    }

    fn files(folder: &Path, prefix: &str, into: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                files(&entry.path(), &name, into);
            } else {
                into.insert(name);
            }
        }
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let mut there = BTreeSet::new();
        files(&folder(), "", &mut there);
        let served: BTreeSet<_> =
            ASSETS.iter().map(|(path, _)| (*path).to_owned()).chain(["/index.html".into()]).collect();
        assert_eq!(served, there);
    }

    #[test]
    fn every_file_says_what_it_is_for_and_none_is_long() {
        for (path, asset) in ASSETS {
            let begins = ["//", "/*", "<!--"].iter().any(|sign| asset.text.starts_with(sign));
            assert!(begins, "{path} begins with no comment");
            assert!(asset.text.lines().count() <= 300, "{path} is too long: part it");
        }
    }

    /// What strangers chose is shown as text: nothing here makes markup of a string, or code, or reaches for another host.
    #[test]
    fn no_file_makes_markup_of_text_or_loads_anything_from_elsewhere() {
        let traps = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "eval(",
            "new Function",
            "setAttribute(\"style",
            "style=",
            "https://",
            "@import",
            "localStorage.setItem(\"token",
            "sessionStorage",
            "document.cookie",
        ];
        for (path, Asset { text, .. }) in ASSETS.iter().chain([&("/index.html", PAGE)]) {
            for trap in traps {
                assert!(!text.contains(trap), "{path} has {trap}");
            }
        }
        // The page itself has no script and no style of its own, which its laws would not let run.
        assert_eq!((PAGE.text.matches("<script").count(), PAGE.text.matches("<style").count()), (1, 0));
        assert!(PAGE.text.contains("src=\"console/main.js\"></script>"));
    }
}
