//! The pages keep their word. Every block of a page that looks as if it could run is run, in the order of the page and
//! in one folder of its own, or says in its fence why not (`not-run: why`); the tables that clients and operators
//! rely on are those of the program; the client programs on the pages do what the pages say of them; every link leads somewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a page that cannot be played says so by panicking"
)]

#[path = "docs/backend.rs"]
#[allow(unreachable_pub, reason = "a page shows it as a module of somebody else's program")]
mod backend;
#[path = "docs/clients.rs"]
mod clients;
#[path = "docs/dashboards.rs"]
mod dashboards;
#[path = "docs/hooks.rs"]
mod hooks;
#[path = "docs/page.rs"]
mod page;
#[path = "docs/rust_client.rs"]
#[allow(unreachable_pub, reason = "a page shows it as a module of somebody else's program")]
mod rust_client;
#[path = "docs/rust_receiver.rs"]
#[allow(unreachable_pub, reason = "a page shows it as a module of somebody else's program")]
mod rust_receiver;
#[path = "docs/stage.rs"]
mod stage;
#[path = "docs/tables.rs"]
mod tables;
#[path = "docs/terminals.rs"]
mod terminals;

use page::Page;
use stage::Stage;

/// Plays a page from its first block to its last.
fn play(path: &str) {
    let page = Page::read(path);
    let mut stage = Stage::new();
    for block in &page.blocks {
        if let Err(fault) = stage.perform(block) {
            panic!("{path}, the block at line {}: {fault}", block.line);
        }
    }
}

/// What stands under a heading, played where there is nothing but the program.
#[test]
fn the_five_minutes_need_nothing_but_the_program() {
    let page = Page::read("docs/operations.md");
    let blocks = page.under("Five minutes");
    assert!(blocks.len() >= 6, "{}", blocks.len());
    let mut stage = Stage::bare();
    for block in blocks {
        for other in ["cargo", "curl", "docs/", "deploy/", "../"] {
            assert!(!block.text.contains(other), "line {}: `{other}` is more than the program", block.line);
        }
        if let Err(fault) = stage.perform(block) {
            panic!("docs/operations.md, the block at line {}: {fault}", block.line);
        }
    }
}

macro_rules! pages {
    ($($name:ident $path:literal,)*) => {
        $(#[test]
        fn $name() {
            play($path);
        })*

        #[test]
        fn every_page_is_played() {
            let listed = [$($path),*];
            for path in page::all() {
                assert!(listed.contains(&path.as_str()), "{path} is a page that nobody plays: list it here");
            }
        }
    };
}

pages! {
    the_readme_does_what_it_says "README.md",
    the_architecture_page_does_what_it_says "docs/architecture.md",
    the_authentication_page_does_what_it_says "docs/authentication.md",
    the_cluster_page_does_what_it_says "docs/cluster.md",
    the_configuration_page_does_what_it_says "docs/configuration.md",
    the_console_page_does_what_it_says "docs/console.md",
    the_delivery_page_does_what_it_says "docs/delivery.md",
    the_dependencies_page_does_what_it_says "docs/dependencies.md",
    the_page_of_a_service_of_ones_own_does_what_it_says "docs/embedding.md",
    the_http_api_page_does_what_it_says "docs/http-api.md",
    the_page_of_api_gateway_does_what_it_says "docs/lambda.md",
    the_observability_page_does_what_it_says "docs/observability.md",
    the_operations_page_does_what_it_says "docs/operations.md",
    the_out_of_scope_page_does_what_it_says "docs/out-of-scope.md",
    the_performance_page_does_what_it_says "docs/performance.md",
    the_protocol_page_does_what_it_says "docs/protocol.md",
    the_routing_page_does_what_it_says "docs/routing.md",
    the_index_does_what_it_says "docs/README.md",
    the_security_page_does_what_it_says "docs/security.md",
    the_socketio_page_does_what_it_says "docs/socketio.md",
    the_steering_page_does_what_it_says "docs/steering.md",
    the_troubleshooting_page_does_what_it_says "docs/troubleshooting.md",
    the_webhooks_page_does_what_it_says "docs/webhooks.md",
    the_two_gateways_on_one_machine_do_what_their_page_says "deploy/compose/README.md",
    the_control_centre_does_what_its_page_says "deploy/examples/agent-control-centre/README.md",
    the_dashboard_does_what_its_page_says "deploy/examples/dashboard/README.md",
    the_nodes_page_does_what_its_page_says "deploy/examples/nodes-page/README.md",
    the_simulation_does_what_its_page_says "deploy/examples/simulation/README.md",
}
