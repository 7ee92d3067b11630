//! Certificate authorities, leaves and secrets.
