//! The API as a client meets it: the real apid and the real machined, two processes of this machine, and the real
//! client. Nothing here needs root, and nothing leaves loopback.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails loudly")]

mod access;
mod node;
mod problems;
mod services;
mod strangers;
