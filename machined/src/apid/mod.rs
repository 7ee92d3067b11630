//! The TLS front of the API.
