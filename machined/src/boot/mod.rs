//! From power on to the running machine.
