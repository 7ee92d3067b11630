//! Module aliases are shell patterns over device names, such as `pci:v00001AF4d*sv*`.

/// Whether `pattern` (with `*`, `?` and `[a-c]`) matches the whole of `name`. Dashes and underscores are equal.
pub fn matches(pattern: &str, name: &str) -> bool {
    let plain = |byte: u8| if byte == b'-' { b'_' } else { byte };
    // Inside brackets a dash is a range, so the pattern keeps its own.
    let name: Vec<u8> = name.bytes().map(plain).collect();
    glob(pattern.as_bytes(), &name)
}

/// Goes back only to the last star: linear in practice, and never exponential.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some(width) = single(pattern.get(p..).unwrap_or_default(), name[n]) {
            p += width;
            n += 1;
        } else if let Some((star_p, star_n)) = star {
            p = star_p + 1;
            n = star_n + 1;
            star = Some((star_p, n));
        } else {
            return false;
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// Length of the pattern's first element when it matches `byte`.
fn single(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let end = pattern.iter().position(|b| *b == b']')?;
            in_set(pattern.get(1..end)?, byte).then_some(end + 1)
        }
        b'-' => (byte == b'_').then_some(1),
        literal => (literal == byte).then_some(1),
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    let (negated, mut rest) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut hit = false;
    loop {
        rest = match rest {
            [] => return hit != negated,
            [low, b'-', high, tail @ ..] => {
                hit |= (*low..=*high).contains(&byte);
                tail
            }
            [one, tail @ ..] => {
                hit |= *one == byte;
                tail
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_of_real_modules() {
        let virtio = "virtio:d00000002v00001AF4";
        for (pattern, name, expect) in [
            ("virtio:d00000002v*", virtio, true),
            ("virtio:d00000001v*", virtio, false),
            ("pci:v*d*sv*sd*bc01sc08i02*", "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02", true),
            ("pci:v*d*sv*sd*bc01sc08i02*", "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc06i01", false),
            ("fs-squashfs", "fs-squashfs", true),
            ("fs_squashfs", "fs-squashfs", true),
            (
                "cpu:type:x86,ven*fam*mod*:feature:*0081*",
                "cpu:type:x86,ven0fam6mod3:feature:,0000,0081,",
                true,
            ),
            ("usb:v04[0-9A-F]?d*", "usb:v04B1d0000", true),
            ("usb:v04[!0-9]1d*", "usb:v0411d0000", false),
            ("net-pf-16-proto-?", "net-pf-16-proto-6", true),
            ("", "x", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} on {name}");
        }
    }

    #[test]
    fn many_stars_end_in_time() {
        assert!(!matches(&"*a".repeat(30), &"a".repeat(29)));
        assert!(matches(&"*a".repeat(30), &"a".repeat(300)));
    }
}
