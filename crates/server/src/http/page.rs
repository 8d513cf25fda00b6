//! Pages of a list: how many, and from where on.

use std::str::FromStr;

use gateway_transport::Query;
use schemars::json_schema;

use super::{
    answer::{Faulty, fault},
    operation::{Parameter, Place, shape},
};
use crate::words;

/// The most entries of a page.
pub(super) const MOST_A_PAGE: usize = 1_000;
const USUAL_PAGE: usize = 100;

pub(super) const LIMIT: Parameter = Parameter {
    name: "limit",
    place: Place::Query,
    about: "How many entries at most; 100 where it is left out.",
    shape: |_| json_schema!({ "type": "integer", "minimum": 1, "maximum": MOST_A_PAGE, "default": USUAL_PAGE }),
    example: "10",
};

/// A cursor is an entry's own name: those behind it are told, whether it is still there or not.
pub(super) const CURSOR: Parameter = Parameter {
    name: "cursor",
    place: Place::Query,
    about: "The `next` of the page before; left out: the first page.",
    shape: shape::<words::Connection>,
    example: "\"3f0c2b57-9f0e-4c7e-8a51-6f1f6f5f0a6e\"",
};

/// Which page is wanted.
#[derive(Debug)]
pub(super) struct Wanted<C> {
    pub(super) most: usize,
    pub(super) after: Option<C>,
}

impl<C: FromStr> Wanted<C> {
    /// Reads `limit` and `cursor`.
    pub(super) fn read(query: &Query) -> Result<Self, Faulty> {
        let after = match query.get("cursor")? {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| fault("cursor", "the `next` of an earlier page"))?),
        };
        Ok(Self { most: limit(query)?, after })
    }

    /// The cursor of the next page: that of the last entry, where the page is full.
    pub(super) fn next<'a, E>(&self, page: &'a [E], cursor: impl Fn(&'a E) -> C) -> Option<C> {
        page.last().filter(|_| page.len() == self.most).map(cursor)
    }
}

/// Reads `limit`.
pub(super) fn limit(query: &Query) -> Result<usize, Faulty> {
    match query.get("limit")? {
        None => Ok(USUAL_PAGE),
        Some(text) => text
            .parse()
            .ok()
            .filter(|most| (1..=MOST_A_PAGE).contains(most))
            .ok_or_else(|| fault("limit", format!("a number from 1 to {MOST_A_PAGE}"))),
    }
}
