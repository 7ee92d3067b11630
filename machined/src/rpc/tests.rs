//! The API over a real socket, as apid would use it.
