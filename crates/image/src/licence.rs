//! Recognises common licences by their text.

/// A licence, and the words that only its text has.
const MARKS: &[(&str, &[&str])] = &[
    ("Apache-2.0", &["apache license", "version 2.0"]),
    ("MPL-2.0", &["mozilla public license", "version 2.0"]),
    ("AGPL-3.0", &["gnu affero general public license", "version 3"]),
    ("LGPL-3.0", &["gnu lesser general public license", "version 3"]),
    ("LGPL-2.1", &["gnu lesser general public license", "version 2.1"]),
    ("GPL-3.0", &["gnu general public license", "version 3"]),
    ("GPL-2.0", &["gnu general public license", "version 2"]),
    ("Unlicense", &["this is free and unencumbered software released into the public domain"]),
    ("CC0-1.0", &["cc0 1.0 universal"]),
    (
        "ISC",
        &[
            "permission to use, copy, modify, and",
            "distribute this software for any purpose with or without fee",
        ],
    ),
    ("MIT", &["permission is hereby granted, free of charge, to any person obtaining a copy"]),
    ("Zlib", &["this software is provided 'as-is'", "altered source versions must be plainly marked"]),
    ("BSD-3-Clause", &["redistribution and use in source and binary forms", "endorse or promote"]),
    ("BSD-2-Clause", &["redistribution and use in source and binary forms"]),
];

/// The SPDX name of the licence that a text is, if it is one that we know.
pub fn classify(text: &str) -> Option<&'static str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").to_lowercase().replace('`', "'");
    let found = MARKS.iter().find(|(_, marks)| marks.iter().all(|mark| text.contains(mark)));
    found.map(|(name, _)| *name)
}

/// Debian's short names of licences, and what SPDX calls them.
const DEBIAN: &[(&str, &str)] = &[
    ("Apache-2.0", "Apache-2.0"),
    ("BSD-2-clause", "BSD-2-Clause"),
    ("BSD-3-clause", "BSD-3-Clause"),
    ("BSD-4-clause", "BSD-4-Clause"),
    ("Expat", "MIT"),
    ("GPL-2", "GPL-2.0-only"),
    ("GPL-2+", "GPL-2.0-or-later"),
    ("GPL-3+", "GPL-3.0-or-later"),
    ("ISC", "ISC"),
    ("LGPL-2", "LGPL-2.0-only"),
    ("LGPL-2.0", "LGPL-2.0-only"),
    ("LGPL-2+", "LGPL-2.0-or-later"),
    ("LGPL-2.1", "LGPL-2.1-only"),
    ("LGPL-2.1+", "LGPL-2.1-or-later"),
    ("LGPLv2.1+", "LGPL-2.1-or-later"),
    ("LGPL-3+", "LGPL-3.0-or-later"),
    ("MIT", "MIT"),
    ("MPL-2.0", "MPL-2.0"),
];

/// The licence that a Debian `copyright` file names for all files that it does not list otherwise,
/// when the file has the form that machines can read.
pub fn of_debian(copyright: &str) -> Option<String> {
    let after = copyright.lines().skip_while(|line| line.trim_end() != "Files: *").skip(1);
    let paragraph = after.take_while(|line| !line.trim().is_empty());
    let name = paragraph.into_iter().find_map(|line| line.strip_prefix("License:"))?.trim();
    let words: Option<Vec<&str>> = name
        .split_whitespace()
        .map(|word| match word {
            "or" => Some("OR"),
            "and" => Some("AND"),
            word => {
                DEBIAN.iter().find(|(debian, _)| debian.eq_ignore_ascii_case(word)).map(|(_, spdx)| *spdx)
            }
        })
        .collect();
    let words = words.filter(|words| !words.is_empty())?;
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_names_the_licence_of_most_files() {
        let text = |licence: &str| {
            format!(
                "Format: x\n\nFiles: debian/*\nLicense: ISC\n\nFiles: *\nCopyright: me\nLicense: {licence}\n\n"
            )
        };
        assert_eq!(of_debian(&text("GPL-2+")).as_deref(), Some("GPL-2.0-or-later"));
        assert_eq!(
            of_debian(&text("GPL-2 or LGPL-2.1+")).as_deref(),
            Some("GPL-2.0-only OR LGPL-2.1-or-later")
        );
        assert_eq!(of_debian(&text("my-own")), None);
        assert_eq!(of_debian("This is free software."), None);
    }

    #[test]
    fn texts_are_recognised_however_they_are_wrapped() {
        for (text, expected) in [
            ("   Apache License\n   Version 2.0, January 2004", Some("Apache-2.0")),
            ("Permission is hereby granted, free of charge,\nto any person obtaining a copy", Some("MIT")),
            ("Redistribution and use in source and binary forms, with or without", Some("BSD-2-Clause")),
            (
                "Redistribution and use in source and binary forms ... may be used to endorse or promote",
                Some("BSD-3-Clause"),
            ),
            ("Mozilla Public License, version 2.0", Some("MPL-2.0")),
            (
                "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee",
                Some("ISC"),
            ),
            ("All rights reserved.", None),
        ] {
            assert_eq!(classify(text), expected, "{text}");
        }
    }
}
