//! `docs/specification.md` from a report, and the same for the terminal.

use std::fmt::Write as _;

use super::report::{Figure, Report, Section};

const INTRODUCTION: &str = "\
# Specification

<!-- Generated from docs/specification.json, which `cargo xtask bench` writes. Do not edit. -->

What was measured, beside what it should be. Boots run in QEMU with 2 processors and 4 GiB of memory, on a machine that
others use too: a figure is the median of its samples, and each part says how busy the machine was. `cargo xtask bench`
measures all of it anew; `--only PART` measures one part.

`kvm` is the processor itself, `tcg` is QEMU's emulation of one, several times slower. PSS is a process's memory in which
pages that others share count in part.
";

/// The page.
pub(super) fn markdown(report: &Report) -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in &report.sections {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {}\n\n{}\n\n", section.title, section.method);
        page.push_str("| | | target | lowest to highest |\n|---|---|---|---|\n");
        for figure in &section.figures {
            let Figure { name, .. } = figure;
            let _ =
                writeln!(page, "| {name} | {} | {} | {} |", bold(figure), figure.verdict(), figure.spread());
        }
        let _ = write!(page, "\n{}\n", taken(section));
    }
    page
}

fn bold(figure: &Figure) -> String {
    if figure.target.is_some() { format!("**{}**", figure.shown()) } else { figure.shown() }
}

fn taken(section: &Section) -> String {
    let load = section.load.map(|load| format!("; {load}")).unwrap_or_default();
    format!("Measured on {} at {}: {}{load}.", section.measured, section.commit, section.host)
}

/// For the terminal.
pub(super) fn table(report: &Report) -> String {
    let mut text = String::new();
    for section in &report.sections {
        let _ = writeln!(text, "\n{}", section.title);
        for figure in &section.figures {
            let line = format!(
                "  {:<58} {:>16}   {:<26} {}",
                figure.name,
                figure.shown(),
                figure.verdict(),
                figure.spread()
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let _ = writeln!(text, "  {}", taken(section));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::host::Load;
    use super::super::report::{Target, Unit};
    use super::*;

    #[test]
    fn page_and_table_show_value_target_spread_and_load() {
        let figure = Figure::median("API answers", vec![6.0, 6.5, 7.5], Unit::Seconds).unwrap();
        let section = Section {
            id: "boot".into(),
            title: "Boot".into(),
            method: "With a watch.".into(),
            measured: "2026-11-21".into(),
            commit: "abc1234".into(),
            host: "2 cores".into(),
            load: Some(Load { before: 1.0, after: 2.0, others_percent: 30.0 }),
            figures: vec![figure.aim(Target::AtMost(7.0))],
        };
        let report = Report { sections: vec![section] };
        let page = markdown(&report);
        assert!(page.contains("| API answers | **6.5 s** | ≤ 7.0 s reached | 6.0 s to 7.5 s |"), "{page}");
        assert!(
            page.contains("at abc1234: 2 cores; load average 1.0 before and 2.0 after; others had 30%"),
            "{page}"
        );
        assert!(table(&report).contains("API answers"));
    }
}
