//! The Corten client.

fn main() {}
