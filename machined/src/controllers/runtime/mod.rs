//! The machine as a whole: its stage, its own services, the images it brings.

pub mod bootstrap;
pub mod images;
pub mod kernel;
pub mod machine_status;
pub mod node_services;
mod on_medium;
pub mod persist;
pub mod random_seed;
mod slots;
