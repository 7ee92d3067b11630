//! How apid tells machined who calls: metadata that apid sets, and that it removes when a client sends it.

/// Prefix of all metadata that only apid may set.
pub const PREFIX: &str = "corten-peer-";
/// Common name of the caller's certificate, percent-encoded; absent for a caller without one.
pub const NAME: &str = "corten-peer-name";
/// Roles of the caller: the certificate's organizations, percent-encoded, joined by commas.
pub const ROLES: &str = "corten-peer-roles";
/// Address and port of the caller.
pub const ADDRESS: &str = "corten-peer-address";

/// Make any text fit for a header: visible ASCII but `%` and `,` stays, every other byte becomes `%XX`.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | b',' => encoded.push_str(&format!("%{byte:02X}")),
            0x21..=0x7e => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Undo [`encode`]; what cannot be decoded is `None`.
pub fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = tail.get(2..)?;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Value of [`ROLES`] for these roles.
pub fn encode_roles<R: AsRef<str>>(roles: &[R]) -> String {
    roles.iter().map(|role| encode(role.as_ref())).collect::<Vec<_>>().join(",")
}

/// The roles in a value of [`ROLES`]; one that cannot be decoded is left out.
pub fn decode_roles(value: &str) -> Vec<String> {
    value.split(',').filter(|role| !role.is_empty()).filter_map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_survives() {
        for name in ["alice", "Ünïcode, with comma", "100%", "a\r\nb", ""] {
            let encoded = encode(name);
            assert!(encoded.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{encoded}");
            assert_eq!(decode(&encoded).as_deref(), Some(name));
        }
        assert_eq!(decode("%zz"), None);
        assert_eq!(decode("%4"), None);
    }

    #[test]
    fn a_comma_in_an_organization_makes_no_second_role() {
        let value = encode_roles(&["os:reader,os:admin", "os:operator"]);
        assert_eq!(decode_roles(&value), ["os:reader,os:admin", "os:operator"]);
        assert_eq!(decode_roles(""), Vec::<String>::new());
    }
}
