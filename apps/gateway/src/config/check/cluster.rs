//! The sense of the section about several gateways: what it says has to lead to a Redis, and to one alone.

use super::{
    super::{Cluster, Config},
    Complaints,
};

pub(super) fn check(config: &Config, complaints: &mut Complaints) {
    let cluster = &config.cluster;
    if !cluster.is_on() {
        leads_nowhere(cluster, complaints);
    }
    if cluster.sentinel.as_ref().is_some_and(|sentinel| sentinel.nodes.is_empty()) {
        let remedy =
            "List where they are: nodes = [\"sentinel-1:26379\", \"sentinel-2:26379\"], or remove cluster.sentinel";
        complaints.fault(
            "cluster.sentinel.nodes",
            "there is no Sentinel that could be asked who the master is",
            remedy,
        );
    }
    let is_plain = cluster.redis.as_ref().is_some_and(|url| url.as_str().starts_with("redis://"));
    if cluster.ca_file.is_some() && is_plain {
        let remedy = "Write rediss:// in cluster.redis for TLS, or remove cluster.ca_file";
        complaints.fault(
            "cluster.ca_file",
            "nobody is asked for a certificate: `cluster.redis` is without TLS",
            remedy,
        );
    }
}

/// What only means something to a Redis that is named.
fn leads_nowhere(cluster: &Cluster, complaints: &mut Complaints) {
    let given = [
        ("cluster.username", cluster.username.is_some()),
        ("cluster.password_file", cluster.password_file.is_some()),
        ("cluster.ca_file", cluster.ca_file.is_some()),
    ];
    for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
        let remedy =
            "Name the Redis in cluster.redis or cluster.sentinel; a gateway that stands alone needs no such key";
        complaints.fault(key, "it is of no use: no Redis is named", remedy);
    }
}
