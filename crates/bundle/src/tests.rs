//! Bundles from the first byte to the last, and everything that may be wrong with one.

use std::io::Cursor;

use proptest::prelude::*;
use semver::Version;

use super::*;

const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const SEED_PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

fn key() -> SigningKey {
    SigningKey::from_hex(SEED).unwrap()
}

fn trusting(key: &SigningKey) -> TrustedKeys {
    let mut trusted = TrustedKeys::default();
    assert!(trusted.add_hex(&key.public_hex()));
    trusted
}

fn draft() -> Draft {
    Draft {
        version: Version::new(1, 2, 3),
        min_version: Version::new(1, 0, 0),
        kubernetes: "v1.36.1".to_owned(),
        architecture: "x86_64".to_owned(),
        config_formats: ConfigFormats { min: 1, max: 2 },
        root_hash: Digest::of(b"root hash"),
    }
}

/// A bundle with a root image of 1000 bytes and a UKI of 50.
fn bundle() -> (Manifest, Vec<u8>) {
    let mut bytes = Vec::new();
    let parts = (Cursor::new(vec![1; 1000]), Cursor::new(vec![2; 50]));
    let manifest = write(&mut bytes, &key(), draft(), parts.0, parts.1).unwrap();
    (manifest, bytes)
}

fn parse(bytes: &[u8]) -> Header {
    match Header::parse(bytes).unwrap() {
        Parsed::Whole(header) => header,
        Parsed::NeedBytes(need) => panic!("needs {need} bytes"),
    }
}

/// The header of a bundle whose manifest is this JSON.
fn with_manifest(json: &str) -> Header {
    parse(&header::seal(json.as_bytes(), &key()).unwrap())
}

#[test]
fn a_bundle_is_read_as_it_was_written() {
    let (manifest, bytes) = bundle();
    let mut input = bytes.as_slice();
    let header = Header::read(&mut input).unwrap();
    assert_eq!(header.as_bytes(), &bytes[..header.len()]);
    assert_eq!(input.len(), 1050, "the payload is left to the reader");
    assert_eq!(header.verify(&trusting(&key())).unwrap(), manifest);
    assert_eq!(header.unverified_manifest().unwrap(), manifest);
    assert_eq!(manifest.file_name(), "corten-1.2.3-x86_64.bundle");
    let mut check = Check::new(Payload::new(&manifest));
    check.push(input).unwrap();
    check.finish().unwrap();
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(bundle().1, bundle().1);
}

#[test]
fn a_header_in_pieces_asks_for_what_it_needs() {
    let (_, bytes) = bundle();
    let header = parse(&bytes);
    for len in 0..header.len() {
        let Parsed::NeedBytes(need) = Header::parse(&bytes[..len]).unwrap() else {
            panic!("whole at {len}");
        };
        assert!(need > len && need <= header.len());
        let error = Header::read(&bytes[..len]).unwrap_err();
        assert!(matches!(error, BundleError::Truncated { have, .. } if have == len as u64), "{error}");
    }
}

#[test]
fn what_is_not_a_bundle_is_told_at_once() {
    for bytes in [&b"P"[..], b"PK\x03\x04 a zip file", &[0; 4096]] {
        assert!(matches!(Header::parse(bytes), Err(BundleError::NotABundle)));
        assert!(matches!(Header::read(bytes), Err(BundleError::NotABundle)));
    }
}

#[test]
fn a_newer_format_is_told() {
    let (_, mut bytes) = bundle();
    bytes[8] = 2;
    let error = Header::parse(&bytes).unwrap_err().to_string();
    assert_eq!(error, "the update bundle has format 2, and this version knows formats up to 1");
}

#[test]
fn a_manifest_beyond_the_limit_is_refused_before_it_is_there() {
    let (_, mut bytes) = bundle();
    bytes[12..16].copy_from_slice(&65537u32.to_le_bytes());
    let error = Header::parse(&bytes[..16]).unwrap_err();
    assert!(matches!(error, BundleError::ManifestTooLarge { found: 65537, limit: 65536 }), "{error}");
    let error = header::seal(&[b' '; 65537], &key()).unwrap_err();
    assert!(matches!(error, BundleError::ManifestTooLarge { .. }), "{error}");
    let largest = header::seal(&[b' '; 65536], &key()).unwrap();
    assert_eq!(largest.len(), HEADER_LEN_MAX);
    assert_eq!(parse(&largest).len(), HEADER_LEN_MAX);
}

#[test]
fn a_key_that_is_not_trusted_is_named() {
    let (_, bytes) = bundle();
    let header = parse(&bytes);
    let error = header.verify(&trusting(&SigningKey::generate().unwrap())).unwrap_err().to_string();
    let id = key().key_id();
    assert_eq!(
        error,
        format!("the update bundle is signed by key {id}, which is none of the 1 keys trusted here")
    );
}

#[test]
fn the_id_of_a_trusted_key_does_not_help_another_key() {
    let (_, mut bytes) = bundle();
    let other = SigningKey::generate().unwrap();
    let at = parse(&bytes).len() - 96;
    bytes[at..at + 32].copy_from_slice(other.key_id().as_bytes());
    let error = parse(&bytes).verify(&trusting(&other)).unwrap_err();
    assert!(matches!(error, BundleError::Signature { key_id } if key_id == other.key_id()), "{error}");
}

#[test]
fn another_architecture_is_refused() {
    let (manifest, _) = bundle();
    manifest.check_architecture("x86_64").unwrap();
    let error = manifest.check_architecture("aarch64").unwrap_err().to_string();
    assert_eq!(error, "the update bundle is for x86_64, and this machine is aarch64");
}

#[test]
fn fields_of_a_newer_version_are_passed_over() {
    let (manifest, _) = bundle();
    let mut json = serde_json::to_value(&manifest).unwrap();
    json["extensions"] = serde_json::json!([{"name": "gpu"}]);
    json["root"]["compression"] = "none".into();
    let header = with_manifest(&json.to_string());
    assert_eq!(header.verify(&trusting(&key())).unwrap(), manifest);
}

#[test]
fn a_signed_manifest_that_makes_no_sense_is_refused() {
    let (manifest, _) = bundle();
    let trusted = trusting(&key());
    assert!(matches!(with_manifest("{}").verify(&trusted), Err(BundleError::Manifest(_))));
    let mut json = serde_json::to_value(&manifest).unwrap();
    json["root"]["size"] = u64::MAX.into();
    assert!(matches!(with_manifest(&json.to_string()).verify(&trusted), Err(BundleError::Sizes)));
    json["root"]["size"] = 0.into();
    assert!(matches!(with_manifest(&json.to_string()).verify(&trusted), Err(BundleError::Sizes)));
    json["rootHash"] = "short".into();
    assert!(matches!(with_manifest(&json.to_string()).verify(&trusted), Err(BundleError::Manifest(_))));
}

#[test]
fn the_manifest_has_the_documented_names() {
    let (manifest, _) = bundle();
    let json = serde_json::to_value(&manifest).unwrap();
    let names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected =
        ["version", "minVersion", "kubernetes", "architecture", "configFormats", "rootHash", "root", "uki"];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(json["configFormats"], serde_json::json!({"min": 1, "max": 2}));
    assert_eq!(json["uki"]["size"], 50);
}

#[test]
fn an_altered_part_is_named() {
    let (manifest, bytes) = bundle();
    let payload = &bytes[parse(&bytes).len()..];
    for (at, expected) in [(0, Part::Root), (999, Part::Root), (1000, Part::Uki), (1049, Part::Uki)] {
        let mut altered = payload.to_vec();
        altered[at] ^= 0x40;
        let error = Check::new(Payload::new(&manifest)).push(&altered).unwrap_err();
        assert!(matches!(error, BundleError::Hash { part, .. } if part == expected), "{error}");
    }
}

#[test]
fn a_payload_that_is_too_short_or_too_long_is_refused() {
    let (manifest, bytes) = bundle();
    let payload = &bytes[parse(&bytes).len()..];
    let mut check = Check::new(Payload::new(&manifest));
    check.push(&payload[..1049]).unwrap();
    let error = check.finish().unwrap_err().to_string();
    assert_eq!(error, "the update bundle is cut off: 1049 of 1050 bytes are there");
    check.push(&payload[1049..]).unwrap();
    check.finish().unwrap();
    assert!(matches!(check.push(b"x"), Err(BundleError::TooLong { expected: 1050 })));
}

#[test]
fn an_offset_belongs_to_one_part() {
    let payload = Payload::new(&bundle().0);
    assert_eq!(payload.len(), 1050);
    assert_eq!(payload.locate(0), Some((Part::Root, 0)));
    assert_eq!(payload.locate(999), Some((Part::Root, 999)));
    assert_eq!(payload.locate(1000), Some((Part::Uki, 0)));
    assert_eq!(payload.locate(1049), Some((Part::Uki, 49)));
    assert_eq!(payload.locate(1050), None);
}

#[test]
fn a_part_that_changes_while_it_is_bundled_is_noticed() {
    /// Reads differently each time.
    struct Fickle(Cursor<Vec<u8>>);
    impl std::io::Read for Fickle {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl std::io::Seek for Fickle {
        fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
            self.0.get_mut().push(1);
            self.0.seek(to)
        }
    }
    let uki = Fickle(Cursor::new(vec![2; 50]));
    let error = write(Vec::new(), &key(), draft(), Cursor::new(vec![1; 10]), uki).unwrap_err();
    assert!(matches!(error, BundleError::Changed(Part::Uki)), "{error}");
}

#[test]
fn a_key_comes_from_seed_or_pem() {
    // RFC 8032, section 7.1, test 1; the PEM is what `openssl pkey` makes of the same seed.
    let pem = "-----BEGIN PRIVATE KEY-----\n\
               MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
               -----END PRIVATE KEY-----\n";
    for text in [SEED, &format!("{SEED}\n"), pem] {
        assert_eq!(SigningKey::from_text(text).unwrap().public_hex(), SEED_PUBLIC);
    }
    for text in ["", "abc", "-----BEGIN PRIVATE KEY-----", &SEED[1..]] {
        assert!(matches!(SigningKey::from_text(text), Err(KeyError::Malformed)));
    }
}

#[test]
fn a_signing_key_is_made_once_and_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys/update.key");
    let made = SigningKey::load_or_create(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(SigningKey::load_or_create(&path).unwrap().public_hex(), made.public_hex());
}

#[test]
fn a_signing_key_does_not_show_itself() {
    let shown = format!("{:?}", key());
    assert!(shown.contains(SEED_PUBLIC) && !shown.contains(SEED), "{shown}");
}

#[test]
fn trusted_keys_are_the_pub_files_of_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    assert!(TrustedKeys::load(&directory.path().join("nowhere")).unwrap().is_empty());
    std::fs::write(directory.path().join("release.pub"), format!("{SEED_PUBLIC}\n")).unwrap();
    std::fs::write(directory.path().join("README"), "not a key").unwrap();
    let trusted = TrustedKeys::load(directory.path()).unwrap();
    assert_eq!(trusted.len(), 1);
    parse(&bundle().1).verify(&trusted).unwrap();
    std::fs::write(directory.path().join("broken.pub"), "not a key").unwrap();
    let error = TrustedKeys::load(directory.path()).unwrap_err();
    assert!(error.to_string().ends_with("broken.pub is not a public key: expected 64 hexadecimal digits"));
}

#[test]
fn a_header_with_any_altered_byte_is_refused() {
    let (_, bytes) = bundle();
    let trusted = trusting(&key());
    for at in 0..parse(&bytes).len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert!(Header::read(altered.as_slice()).and_then(|header| header.verify(&trusted)).is_err(), "{at}");
    }
}

proptest! {
    #[test]
    fn a_header_with_altered_bytes_is_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..4)
    ) {
        let (_, bytes) = bundle();
        let len = parse(&bytes).len();
        let mut altered = bytes.clone();
        for (at, by) in changes {
            altered[at.index(len)] ^= by;
        }
        prop_assume!(altered != bytes);
        let read = Header::read(altered.as_slice()).and_then(|header| header.verify(&trusting(&key())));
        prop_assert!(read.is_err());
    }

    #[test]
    fn no_bytes_bring_the_reader_down(bytes: Vec<u8>) {
        let mut with_magic = b"CORTENUB\x01\0\0\0".to_vec();
        with_magic.extend(&bytes);
        prop_assert!(Header::read(bytes.as_slice()).is_err());
        prop_assert!(Header::read(with_magic.as_slice())
            .and_then(|header| header.verify(&trusting(&key()))).is_err());
    }

    #[test]
    fn a_payload_in_any_pieces_lands_where_it_belongs(cuts in prop::collection::vec(0..1050usize, 0..6)) {
        let (manifest, bytes) = bundle();
        let payload = &bytes[parse(&bytes).len()..];
        let mut cuts = cuts;
        cuts.extend([0, payload.len()]);
        cuts.sort_unstable();
        let mut check = Check::new(Payload::new(&manifest));
        let (mut root, mut uki) = (Vec::new(), Vec::new());
        for cut in cuts.windows(2) {
            for piece in check.push(&payload[cut[0]..cut[1]]).unwrap() {
                let part = match piece.part { Part::Root => &mut root, Part::Uki => &mut uki };
                prop_assert_eq!(piece.offset, part.len() as u64);
                part.extend_from_slice(piece.bytes);
            }
        }
        check.finish().unwrap();
        prop_assert_eq!(root, vec![1; 1000]);
        prop_assert_eq!(uki, vec![2; 50]);
    }
}
