//! Update bundles: one signed file with everything that an update needs.
