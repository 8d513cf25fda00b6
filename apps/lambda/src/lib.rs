//! The same door behind the WebSocket APIs of AWS API Gateway: a function that is called for each event, on the crates of the
//! gateway without their sockets.
//!
//! Read it in the order of a visit. [`settings`] is what the place says, [`front`] builds the rooms, and [`invocation`] tells
//! what a call is. [`visits`] lets in and out: the gate of the gateway, with [`seats`] in the [`table`]. [`message`]
//! judges what is said as the gateway does, [`publishing`] tells what backends publish, [`minute`] does once a minute
//! what a task does in between. [`connections`] finds everybody, [`management`] speaks to them, [`kept`] is what is
//! known of each between two events, [`doors`] which stage leads where, [`after`] what waits for the answer.
//! Only `main` reads the environment.

pub mod after;
pub mod answer;
pub mod audit;
pub mod connections;
pub mod doors;
pub mod front;
pub mod invocation;
pub mod kept;
pub mod management;
pub mod message;
pub mod minute;
pub mod posting;
pub mod publishing;
pub mod seats;
pub mod settings;
pub mod table;
pub mod unserved;
pub mod visits;
