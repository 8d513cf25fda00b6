//! The door and the gate.
