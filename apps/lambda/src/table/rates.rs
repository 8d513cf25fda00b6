//! Knocks, counted by conditional writes: one number for each who knocks, the moment at which all its knocks so far would
//! have been fair. Who is ahead of that by more than its burst waits.

use std::time::Duration;

use gateway_domain::Timestamp;
use gateway_server::limits::HandshakeRate;

use super::{
    StoreFault, Table,
    item::{find_number, key, number},
};

impl Table {
    /// Counts a knock under that name; how long to wait, where it is one too many.
    pub async fn knock(
        &self,
        name: &str,
        rate: &HandshakeRate,
        now: Timestamp,
    ) -> Result<Result<(), Duration>, StoreFault> {
        let key = key(&format!("rate#{name}"), "rate");
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let now_micros = now.millis().saturating_mul(1000);
        let interval = micros(rate.rate.interval());
        let ahead = interval.saturating_mul(i64::from(rate.burst.get()) - 1);
        let change = |expression: &str, condition: &str| {
            self.client
                .update_item()
                .table_name(&self.name)
                .set_key(Some(key.clone()))
                .update_expression(expression)
                .condition_expression(condition)
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":ttl", number(super::ttl(now + Duration::from_secs(3600))))
                .expression_attribute_values(":now", number(now_micros))
        };
        // Who was quiet begins anew: nearly always this one write is all.
        let fresh = change("SET fair = :next, #ttl = :ttl", "attribute_not_exists(fair) OR fair <= :now")
            .expression_attribute_values(":next", number(now_micros.saturating_add(interval)));
        if super::seats::unless_refused(fresh.send().await, "written for a rate")? {
            return Ok(Ok(()));
        }
        let further = change("SET fair = fair + :interval, #ttl = :ttl", "fair > :now AND fair <= :latest")
            .expression_attribute_values(":interval", number(interval))
            .expression_attribute_values(":latest", number(now_micros.saturating_add(ahead)));
        if super::seats::unless_refused(further.send().await, "written for a rate")? {
            return Ok(Ok(()));
        }
        let item = self.get(key, "read for a rate").await?;
        let fair = item.and_then(|item| find_number(&item, "fair")).unwrap_or(now_micros);
        let wait = fair.saturating_sub(now_micros.saturating_add(ahead)).max(interval.min(1_000));
        Ok(Err(Duration::from_micros(u64::try_from(wait).unwrap_or_default())))
    }
}
