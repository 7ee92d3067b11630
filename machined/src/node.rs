//! What the handlers and controllers share.
