//! Linux, behind safe functions.
