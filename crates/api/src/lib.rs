//! Protocol buffers, generated code, roles and error details of the Corten API.
