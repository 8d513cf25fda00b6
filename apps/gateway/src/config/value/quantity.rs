//! Quantities: durations, sizes, rates and counts. Each is bounded, and none is nothing unless its name says so.

use std::{fmt, num::NonZeroU32, ops::Deref, time::Duration};

use schemars::JsonSchema;

use super::{Scalar, Unfit, Value, through_serde};

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// Ten years: longer than anything here should last, and far from any overflow.
const LONGEST: u64 = 3_660 * 86_400_000;

/// Milliseconds, from a number and a unit.
fn millis(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(split)?;
    let unit = unit.trim();
    let factor = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|millis| *millis <= LONGEST)
}

/// A duration that is longer than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

/// A duration that may be nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Leeway(Duration);

impl Period {
    /// So many seconds, at least one.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(if seconds == 0 { 1 } else { seconds }))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Leeway {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

fn write(duration: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match UNITS.iter().find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit)) {
        Some((name, unit)) => write!(f, "{}{name}", millis / unit),
        None => f.write_str("0s"),
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, f)
    }
}

impl fmt::Display for Leeway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, f)
    }
}

impl Value for Period {
    const KIND: &'static str = "duration";
    const WANTED: &'static str =
        "a duration longer than nothing: a number and a unit (ms, s, m, h or d), such as \"30s\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        match scalar {
            Scalar::Text(text) => millis(text).filter(|millis| *millis > 0),
            Scalar::Integer(_) | Scalar::Float(_) | Scalar::Boolean(_) => None,
        }
        .map(|millis| Self(Duration::from_millis(millis)))
        .ok_or_else(|| Unfit::not::<Self>(scalar))
    }
}

impl Value for Leeway {
    const KIND: &'static str = "duration or 0s";
    const WANTED: &'static str = "a duration: a number and a unit (ms, s, m, h or d), such as \"30s\" or \"0s\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        match scalar {
            Scalar::Text(text) => millis(text),
            Scalar::Integer(_) | Scalar::Float(_) | Scalar::Boolean(_) => None,
        }
        .map(|millis| Self(Duration::from_millis(millis)))
        .ok_or_else(|| Unfit::not::<Self>(scalar))
    }
}

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// So many bytes, at least one and at most 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u32);

impl Size {
    /// So many KiB, at least one.
    pub const fn kib(kib: u16) -> Self {
        Self(if kib == 0 { 1 << 10 } else { (kib as u32) << 10 })
    }

    /// So many MiB, at least one.
    pub const fn mib(mib: u8) -> Self {
        Self(if mib == 0 { 1 << 20 } else { (mib as u32) << 20 })
    }

    /// The number of bytes.
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }

    fn parse(text: &str) -> Option<u64> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(split)?;
        let unit = Some(unit.trim()).filter(|unit| !unit.is_empty()).unwrap_or("B");
        let factor = SIZES.iter().find(|(name, _)| *name == unit)?.1;
        number.parse::<u64>().ok()?.checked_mul(factor)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = u64::from(self.0);
        match SIZES.iter().find(|(_, unit)| *unit > 1 && bytes.is_multiple_of(*unit)) {
            Some((name, unit)) => write!(f, "{}{name}", bytes / unit),
            None => write!(f, "{bytes}"),
        }
    }
}

impl Value for Size {
    const KIND: &'static str = "size";
    const WANTED: &'static str = "a number of bytes from 1 to \"1GiB\", such as \"1MiB\", \"64KiB\" or 4096";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        match scalar {
            Scalar::Text(text) => Self::parse(text),
            Scalar::Integer(number) => u64::try_from(number).ok(),
            Scalar::Float(_) | Scalar::Boolean(_) => None,
        }
        .filter(|bytes| (1..=1 << 30).contains(bytes))
        .and_then(|bytes| u32::try_from(bytes).ok())
        .map(Self)
        .ok_or_else(|| Unfit::not::<Self>(scalar))
    }
}

/// So many in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(gateway_domain::plan::Rate);

impl Rate {
    /// So many in that many seconds, at least one in one.
    pub const fn new(count: u32, seconds: u64) -> Self {
        Self(gateway_domain::plan::Rate::new(Count::new(count).0, Period::seconds(seconds).0))
    }
}

impl Deref for Rate {
    type Target = gateway_domain::plan::Rate;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value for Rate {
    const KIND: &'static str = "rate";
    const WANTED: &'static str = "so many in a second, minute, hour or day, at least 1: \"20/s\", \"100/m\"";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        let Scalar::Text(text) = scalar else { return Err(Unfit::not::<Self>(scalar)) };
        text.parse().map(Self).map_err(|_| Unfit::not::<Self>(scalar))
    }
}

/// A number of things, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(NonZeroU32);

impl Count {
    /// So many, at least one.
    pub const fn new(count: u32) -> Self {
        match NonZeroU32::new(count) {
            Some(count) => Self(count),
            None => Self(NonZeroU32::MIN),
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// The number, for whoever must not get nothing.
    pub const fn non_zero(self) -> NonZeroU32 {
        self.0
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value for Count {
    const KIND: &'static str = "number";
    const WANTED: &'static str = "a whole number of at least 1, such as 10";

    fn read(scalar: Scalar<'_>) -> Result<Self, Unfit> {
        match scalar {
            Scalar::Text(text) => text.parse().ok(),
            Scalar::Integer(number) => u32::try_from(number).ok().and_then(NonZeroU32::new),
            Scalar::Float(_) | Scalar::Boolean(_) => None,
        }
        .map(Self)
        .ok_or_else(|| Unfit::not::<Self>(scalar))
    }
}

through_serde!(Period, Leeway, Rate);

/// Numbers are written as numbers.
macro_rules! numbers {
    ($($kind:ty, $number:expr;)*) => {$(
        impl<'de> serde::Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(super::AnyScalar(std::marker::PhantomData))
            }
        }

        impl serde::Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let number: fn(&$kind) -> Option<u32> = $number;
                match number(self) {
                    Some(number) => serializer.serialize_u32(number),
                    None => serializer.collect_str(self),
                }
            }
        }

        impl JsonSchema for $kind {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                <$kind as Value>::KIND.into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                super::Described::<$kind>::json_schema(generator)
            }
        }
    )*};
}

numbers! {
    Count, |count| Some(count.get());
    Size, |size| (!size.0.is_multiple_of(1024)).then_some(size.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Value>(text: &str) -> Option<T> {
        T::read(Scalar::Text(text)).ok()
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis, written) in [
            ("250ms", 250, "250ms"),
            ("30s", 30_000, "30s"),
            ("90s", 90_000, "90s"),
            ("60s", 60_000, "1m"),
            ("15m", 900_000, "15m"),
            ("24h", 86_400_000, "1d"),
            ("7 d", 604_800_000, "7d"),
        ] {
            let period: Period = read(text).unwrap();
            assert_eq!((period.get().as_millis(), period.to_string()), (millis, written.to_owned()), "{text}");
            assert_eq!(read::<Period>(written), Some(period));
        }
        for text in
            ["", "30", "s", "-1s", "1.5s", "30 sec", "99999999999999999999s", "213503982334602d", "4000d", "é1s"]
        {
            assert_eq!(read::<Period>(text), None, "{text}");
            assert_eq!(read::<Leeway>(text), None, "{text}");
        }
        assert_eq!(read::<Period>("0s"), None);
        assert_eq!(read::<Leeway>("0s").map(|leeway| leeway.to_string()), Some("0s".into()));
        assert_eq!(Period::read(Scalar::Integer(30)), Err(Unfit::not::<Period>(Scalar::Integer(30))));
        assert_eq!((Period::seconds(0).to_string(), Leeway::seconds(5).to_string()), ("1s".into(), "5s".into()));
        assert_eq!(Leeway::seconds(5).get(), Duration::from_secs(5));
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, json) in [
            ("1MiB", 1 << 20, "\"1MiB\""),
            ("64KiB", 1 << 16, "\"64KiB\""),
            ("1GiB", 1 << 30, "\"1GiB\""),
            ("4096", 4096, "\"4KiB\""),
            ("100 B", 100, "100"),
        ] {
            let size: Size = read(text).unwrap();
            assert_eq!((size.bytes(), serde_json::to_string(&size).unwrap()), (bytes, json.to_owned()), "{text}");
            assert_eq!(serde_json::from_str::<Size>(json).unwrap(), size);
        }
        for text in ["", "0", "1MB", "2GiB", "-1", "1.5MiB", "18446744073709551615GiB"] {
            assert_eq!(read::<Size>(text), None, "{text}");
        }
        assert_eq!(Size::read(Scalar::Integer(-1)).ok(), None);
        assert_eq!(Size::kib(0), Size::kib(1));
    }

    #[test]
    fn rates_and_counts_are_at_least_one() {
        assert_eq!(read::<Rate>("20/s").map(|rate| rate.to_string()), Some("20/s".into()));
        assert_eq!(Rate::new(20, 1), read("20/s").unwrap());
        assert_eq!(Rate::new(0, 60).count.get(), 1);
        assert_eq!(read::<Rate>("0/s"), None);
        assert_eq!(read::<Count>("10").map(Count::get), Some(10));
        assert_eq!(Count::new(0).non_zero().get(), 1);
        for scalar in [Scalar::Integer(0), Scalar::Integer(-1), Scalar::Integer(1 << 33), Scalar::Text("ten")] {
            assert!(Count::read(scalar).is_err(), "{scalar}");
        }
        assert_eq!(serde_json::to_string(&Count::new(3)).unwrap(), "3");
    }
}
