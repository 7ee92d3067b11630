//! Links, addresses, routes and names.
