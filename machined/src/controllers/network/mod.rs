//! Links, addresses, routes, resolver, hostname.
