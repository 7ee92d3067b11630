//! PID 1, API front, dashboard and module helper.

fn main() {}
