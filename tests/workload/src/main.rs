//! The program that test and demo pods run.

fn main() {}
