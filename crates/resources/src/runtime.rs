//! Services, machine stage, controllers.
