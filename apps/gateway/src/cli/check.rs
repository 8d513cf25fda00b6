//! `gateway token check`.
