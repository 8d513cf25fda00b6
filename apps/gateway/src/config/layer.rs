//! How a configuration is made: layer over layer, each checked key by key, then the whole checked for sense.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use ::config::{Config as Layers, File, FileFormat, Map, Source, Value as Layered, ValueKind};

use super::{
    Config, DEFAULT_FILE, Loaded, Mode, Sources, check,
    document::{Document, Node},
    fault::{Fault, Faults, Place, Places, below, parent},
    routing, schemas, secret,
    shape::{Form, Misfit, SCHEMA, Walk, can_be_off, plain, unknown},
    socketio,
    value::Scalar,
};

/// What ships: plans, endpoints, routes and rules. The rest ships as the defaults of the types.
pub(super) const SHIPPED: &str = include_str!("shipped.toml");
/// What dev mode adds.
const DEV: &str = include_str!("dev.toml");
/// What the names of the environment begin with.
const PREFIX: &str = "GATEWAY__";
/// The largest file that is read.
const LARGEST: u64 = 1 << 20;

/// Makes a configuration.
///
/// # Errors
/// Everything that is wrong with it, in one go.
pub fn load(sources: Sources) -> Result<Loaded, Faults> {
    let origin = match (sources.file, sources.mode) {
        (Some(file), _) => Some(file),
        (None, Mode::Serve | Mode::Look) => Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()),
        (None, Mode::Dev) => None,
    };
    let mut draft = Draft::default();
    let mut layers = Layers::builder().add_source(File::from_str(SHIPPED, FileFormat::Toml));
    if sources.mode == Mode::Dev {
        layers = layers.add_source(File::from_str(DEV, FileFormat::Toml));
    }
    if let Some(file) = &origin {
        layers = layers.add_source(Layer(draft.file(file)?));
    }
    let mut singles = Vec::new();
    for (name, text) in sources.env.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        let names: Vec<_> = name.trim_start_matches(PREFIX).split("__").map(str::to_ascii_lowercase).collect();
        singles.extend(draft.single(&names, text, &Place::Environment(name.clone())));
    }
    for (key, text) in &sources.overrides {
        let names: Vec<_> = key.split('.').map(str::to_owned).collect();
        singles.extend(draft.single(&names, text, &Place::Flag));
    }
    for (key, value) in singles {
        layers = layers.set_override(&key, value).map_err(|fault| draft.impossible(&fault))?;
    }
    let built = layers.build().map_err(|fault| draft.impossible(&fault))?;

    if !draft.is_complete(&built)? {
        Faults::gather(std::mem::take(&mut draft.faults))?;
    }
    let mut config: Config = built.try_deserialize().map_err(|fault| draft.impossible(&fault))?;
    socketio::fit(&mut config, &draft.places);
    routing::fit(&mut config, &draft.places);
    let mut complaints = check::sense(&config, sources.mode);
    if sources.mode == Mode::Serve {
        // The secrets are dropped again: whoever needs them asks for them apart.
        complaints.extend(secret::resolve(&config, &sources.env).err().unwrap_or_default());
    }
    let warnings = complaints.warnings.iter().map(|misfit| draft.placed(misfit)).collect();
    draft.sense(complaints.faults);
    // Each stands for itself: what is wrong with one file follows from nothing that was left out.
    draft.take(schemas::compile(&config.events).err().unwrap_or_default().faults);
    Faults::gather(draft.faults)?;
    Ok(Loaded { config, warnings, origin, places: draft.places })
}

/// One layer, checked, on its way into the others.
#[derive(Clone, Debug)]
struct Layer(Map<String, Layered>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Layered>, ::config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// What is known of a configuration while it is made.
#[derive(Default)]
struct Draft {
    places: Places,
    faults: Vec<Fault>,
    /// Keys whose values were left out because they do not fit.
    misfits: BTreeSet<String>,
}

impl Draft {
    /// Reads a file, and keeps what fits of it.
    fn file(&mut self, file: &Path) -> Result<Map<String, Layered>, Faults> {
        let fault = |at: (usize, usize), what: String, remedy: &str| {
            let place = Place::File { file: file.to_owned(), line: at.0, column: at.1 };
            Faults::one(Fault { place, key: String::new(), what, remedy: remedy.to_owned() })
        };
        let text = read(file).map_err(|why| {
            fault((1, 1), format!("the configuration file cannot be read: {why}"), "Name another with --config FILE")
        })?;
        let document = Document::read(&text).map_err(|malformed| {
            fault(malformed.at, format!("this is no TOML: {}", malformed.why), "Mend the line, then check again")
        })?;
        let mut walk = Walk::new(file.parent().unwrap_or(Path::new("")));
        let kept = walk.tree(&document.root);
        self.places = Places::of_file(file.to_owned(), document.lines);
        self.take(walk.misfits);
        Ok(kept)
    }

    /// One value from the environment or from a flag.
    fn single(&mut self, names: &[String], text: &str, place: &Place) -> Option<(String, Layered)> {
        let mut walk = Walk::new(Path::new(""));
        let value = single(&mut walk, names, text);
        for Misfit { key, what, remedy } in walk.misfits {
            self.misfits.insert(key.clone());
            self.faults.push(Fault { place: place.clone(), key, what, remedy });
        }
        let (key, value) = value?;
        self.places.overlay(key.clone(), place.clone());
        Some((key, value))
    }

    /// Whether all that is demanded is there, once the layers lie over one another.
    fn is_complete(&mut self, built: &Layers) -> Result<bool, Faults> {
        let whole = built.collect().map_err(|fault| self.impossible(&fault))?;
        let mut walk = Walk { demanding: true, ..Walk::new(Path::new("")) };
        walk.tree(&node(&ValueKind::Table(whole)));
        let complete = walk.misfits.is_empty();
        // What was given and did not fit is not told again as missing.
        for Misfit { key, what, remedy } in walk.misfits {
            if self.misfits.insert(key.clone()) {
                self.faults.push(Fault { place: self.places.of_missing(&key), key, what, remedy });
            }
        }
        Ok(complete)
    }

    /// Faults of sense, but for those that only follow from a value that was left out.
    fn sense(&mut self, faults: Vec<Misfit>) {
        let inside = |key: &str, around: &str| {
            key.strip_prefix(around).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let real = faults.into_iter().filter(|fault| {
            !self.misfits.iter().any(|misfit| {
                let around = parent(misfit).unwrap_or(misfit);
                inside(&fault.key, around) || inside(misfit, &fault.key)
            })
        });
        let real: Vec<_> = real.map(|misfit| self.placed(&misfit)).collect();
        self.faults.extend(real);
    }

    fn take(&mut self, misfits: Vec<Misfit>) {
        for misfit in misfits {
            self.faults.push(self.placed(&misfit));
            self.misfits.insert(misfit.key);
        }
    }

    fn placed(&self, misfit: &Misfit) -> Fault {
        let Misfit { key, what, remedy } = misfit.clone();
        Fault { place: self.places.of(&key), key, what, remedy }
    }

    /// The layers do not fit together, though each was checked: told as it is.
    fn impossible(&self, fault: &::config::ConfigError) -> Faults {
        let mut faults = self.faults.clone();
        faults.push(Fault {
            place: self.places.of(""),
            key: String::new(),
            what: format!("the layers of the configuration do not fit together: {fault}"),
            remedy: String::new(),
        });
        match Faults::gather(faults) {
            Err(faults) => faults,
            Ok(()) => {
                Faults::one(self.placed(&Misfit { key: String::new(), what: String::new(), remedy: String::new() }))
            }
        }
    }
}

/// A text file of bounded size.
pub(crate) fn read(file: &Path) -> std::io::Result<String> {
    let size = fs::metadata(file)?.len();
    if size > LARGEST {
        return Err(std::io::Error::other(format!("it has {size} bytes, and {LARGEST} is the most")));
    }
    fs::read_to_string(file)
}

/// Finds the key of a variable or a flag, and reads its value: single values of fixed sections only.
fn single(walk: &mut Walk<'_>, names: &[String], text: &str) -> Option<(String, Layered)> {
    let mut schema = plain(&SCHEMA);
    let mut key = String::new();
    for name in names {
        let inner = schema.get("properties").and_then(|all| all.get(name));
        let at = below(&key, name);
        match (Form::of(schema), inner) {
            (Form::Table, Some(inner)) => (schema, key) = (plain(inner), at),
            (Form::Table, None) if schema.get("properties").is_some() => {
                walk.misfits.push(unknown(schema, name, at));
                return None;
            }
            (Form::Scalar | Form::Choice | Form::Boolean, _) => {
                walk.misfits.push(Misfit {
                    key: at,
                    what: "there is no such key".into(),
                    remedy: format!("`{key}` has no keys below it"),
                });
                return None;
            }
            (Form::Table | Form::List, _) => return several(walk, schema, key),
        }
    }
    match Form::of(schema) {
        Form::Table if text == "off" && can_be_off(schema) => {}
        Form::Table | Form::List => return several(walk, schema, key),
        Form::Scalar | Form::Choice | Form::Boolean => {}
    }
    let scalar = match (Form::of(schema), text) {
        (Form::Boolean, "true") => Scalar::Boolean(true),
        (Form::Boolean, "false") => Scalar::Boolean(false),
        _ => Scalar::Text(text),
    };
    let value = walk.scalar(schema, scalar, &key)?;
    Some((key, value))
}

/// A variable that names more than one value.
fn several(walk: &mut Walk<'_>, schema: &serde_json::Value, key: String) -> Option<(String, Layered)> {
    let what = match Form::of(schema) {
        Form::List => "this is a list",
        _ if schema.get("properties").is_some() => "this is a section",
        _ => "this is a map with names of your own",
    };
    let what = format!("{what}, and variables and flags set single values of fixed sections only");
    walk.misfits.push(Misfit { key, what, remedy: "Put it into the file".into() });
    None
}

/// The layers as a tree again.
fn node(value: &ValueKind) -> Node {
    match value {
        ValueKind::Table(map) => Node::Table(
            map.iter()
                .filter(|(_, value)| value.kind != ValueKind::Nil)
                .map(|(name, value)| (name.clone(), node(&value.kind)))
                .collect(),
        ),
        ValueKind::Array(values) => Node::List(values.iter().map(|value| node(&value.kind)).collect()),
        ValueKind::Boolean(yes) => Node::Boolean(*yes),
        ValueKind::I64(number) => Node::Integer(*number),
        ValueKind::Float(number) => Node::Float(*number),
        ValueKind::Nil | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) | ValueKind::String(_) => {
            Node::Text(value.to_string())
        }
    }
}
