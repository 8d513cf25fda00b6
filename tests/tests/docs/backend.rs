//! A backend in Rust, as the page on the HTTP API shows it; a test here runs each part of it.

use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::{Value, json};
use uuid::Uuid;

/// A gateway, as a backend calls it.
pub struct Gateway {
    client: Client,
    url: String,
    key: String,
}

/// What a call comes to.
pub type Called<T> = Result<T, Box<dyn std::error::Error>>;

impl Gateway {
    pub fn at(url: &str, key: &str) -> Called<Self> {
        Ok(Self { client: Client::builder().no_proxy().build()?, url: url.into(), key: key.into() })
    }

    /// Makes a call: the answer, or what it was refused for.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Called<Response> {
        for left in (0..=5).rev() {
            let call = self.client.request(method.parse()?, format!("{}{path}", self.url));
            let call = call.header("x-api-key", &self.key);
            let answer = match &body {
                Some(body) => call.json(body).send().await?,
                None => call.send().await?,
            };
            if answer.status().is_success() {
                return Ok(answer);
            }
            let waits = [429, 503].contains(&answer.status().as_u16());
            let error = answer.json::<Value>().await?["error"].take();
            // Neither of these has done anything yet.
            if !waits || left == 0 {
                return Err(format!("{}: {}", error["code"], error["message"]).into());
            }
            tokio::time::sleep(Duration::from_secs(error["retryAfter"].as_u64().unwrap_or(1))).await;
        }
        Err("five times in vain".into())
    }

    /// The same, for an answer in JSON.
    pub async fn json(&self, method: &str, path: &str, body: Option<Value>) -> Called<Value> {
        Ok(self.call(method, path, body).await?.json().await?)
    }
}

pub(super) async fn tell(gateway: &Gateway) -> Called<()> {
    let event =
        json!({"to": ["user:ann"], "type": "invoice.paid", "payload": {"number": 17}, "eventId": Uuid::new_v4()});
    let told = gateway.json("POST", "/api/v1/events", Some(event.clone())).await?;
    let again = gateway.json("POST", "/api/v1/events", Some(event.clone())).await?;
    assert_eq!((&told["eventId"], &again["duplicate"]), (&again["eventId"], &json!(true)));
    let batch = gateway.json("POST", "/api/v1/events/batch", Some(json!({"events": [event]}))).await?;
    assert_eq!(batch["results"][0]["duplicate"], true);
    Ok(())
}

pub(super) async fn ask(gateway: &Gateway) -> Called<()> {
    let body = json!({"type": "command", "payload": "stop", "timeout": "5s"});
    let reply = gateway.json("POST", "/api/v1/agents/press-7/requests", Some(body)).await?;
    assert_eq!(reply["payload"], json!({"done": "stop"}));
    Ok(())
}

pub(super) async fn look_at_connections(gateway: &Gateway) -> Called<()> {
    let page = gateway.json("GET", "/api/v1/connections?user=ann&limit=1", None).await?;
    let one = page["connections"][0]["connectionId"].as_str().unwrap_or_default();
    let path = format!("/api/v1/connections/{one}");
    assert_eq!(gateway.json("GET", &path, None).await?["userId"], "ann");
    assert_eq!(gateway.json("DELETE", &path, None).await?["disconnected"], 1);
    assert_eq!(gateway.json("GET", "/api/v1/users/ann", None).await?["banned"], false);
    gateway.json("POST", "/api/v1/users/mallory/disconnect", None).await?;
    Ok(())
}

pub(super) async fn look_at_rooms(gateway: &Gateway) -> Called<()> {
    let agents = gateway.json("GET", "/api/v1/agents?user=press-7", None).await?;
    assert_eq!(agents["agents"][0]["agentId"], "press-7");
    let sightings = gateway.json("GET", "/api/v1/sightings", None).await?;
    assert_eq!(sightings["sightings"][0]["flapping"], false);
    let rooms = gateway.json("GET", "/api/v1/rooms?prefix=agent:", None).await?;
    assert_eq!(rooms["rooms"][0]["room"], "agent:press-7");
    let room = gateway.json("GET", "/api/v1/rooms/agents", None).await?;
    let history = gateway.json("GET", "/api/v1/rooms/agents/history?limit=1", None).await?;
    assert_eq!((&room["epoch"], &history["messages"][0]["room"]), (&history["epoch"], &json!("agents")));
    let presence = gateway.json("GET", "/api/v1/rooms/agents/presence", None).await?;
    assert_eq!(presence["members"][0]["userId"], "ann");
    Ok(())
}

pub(super) async fn keep_out(gateway: &Gateway) -> Called<()> {
    let ban = json!({"user": "mallory", "reason": "spam"});
    assert_eq!(gateway.json("PUT", "/api/v1/bans", Some(ban.clone())).await?["ban"], ban);
    assert_eq!(gateway.json("GET", "/api/v1/bans", None).await?["bans"], json!([ban]));
    gateway.json("DELETE", "/api/v1/bans", Some(json!({"user": "mallory"}))).await?;
    gateway.json("POST", "/api/v1/revocations", Some(json!({"user": "mallory"}))).await?;
    Ok(())
}

pub(super) async fn look_into_the_audit(gateway: &Gateway) -> Called<()> {
    let mut following = gateway.call("GET", "/api/v1/audit?follow=true&code=NOT_FOUND", None).await?;
    assert!(gateway.json("GET", "/api/v1/rooms/nowhere", None).await.is_err());
    let line: Value = serde_json::from_slice(&following.chunk().await?.unwrap_or_default())?;
    let request = line["requestId"].as_str().unwrap_or_default();
    let explained = gateway.json("GET", &format!("/api/v1/audit/{request}"), None).await?;
    assert_eq!(explained["records"][0], line);
    let latest = gateway.json("GET", "/api/v1/audit?code=NOT_FOUND&limit=1", None).await?;
    assert_eq!(latest["records"][0], line);
    Ok(())
}

pub(super) async fn get_tokens(gateway: &Gateway) -> Called<()> {
    let first = gateway.json("POST", "/auth/token", None).await?;
    let spent = json!({"refresh_token": first["refresh_token"]});
    let second = gateway.json("POST", "/auth/refresh", Some(spent)).await?;
    assert_eq!((&second["user_id"], &second["expires_in"]), (&json!("backend"), &json!(900)));
    Ok(())
}

pub(super) async fn look_at_the_gateway(gateway: &Gateway) -> Called<()> {
    for path in ["/healthz", "/health", "/readyz"] {
        assert_eq!(gateway.json("GET", path, None).await?["status"], "ok");
    }
    assert!(gateway.call("GET", "/metrics", None).await?.text().await?.contains("gateway_connections"));
    assert_eq!(gateway.json("GET", "/openapi.json", None).await?["openapi"], "3.1.0");
    assert_eq!(gateway.json("GET", "/api/v1/overview", None).await?["caller"]["role"], "admin");
    Ok(())
}
