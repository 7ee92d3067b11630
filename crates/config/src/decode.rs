//! Tree and schema to a plain value: every mismatch is reported with its place, none stops the rest.
//!
//! Only parts of JSON schema that our types produce are understood; a test in [`crate::schema`] holds that.

use serde_json::{Map, Value};

use crate::diagnostic::Code;
use crate::formats;
use crate::nearest::nearest;
use crate::node::{Data, Entry, Node};
use crate::report::{Finding, KEY_SHOWN, Report, shorten};
use crate::scalar::core_schema;
use crate::words::{Range, constants, expected, is_header, required_part, type_of};

/// Reads documents of one kind.
pub(crate) struct Decoder<'r, 'a> {
    pub(crate) report: &'r mut Report<'a>,
    pub(crate) kind: &'static str,
    pub(crate) path: Vec<String>,
    /// Whether this is a patch: nothing is required, `null` takes a key away, and directives are allowed.
    pub(crate) partial: bool,
}

/// Why something could not be read was reported.
#[derive(Debug)]
pub(crate) struct Reported;

/// Keys of a patch that say what to do with the value around them.
pub(crate) const DIRECTIVES: [&str; 2] = [DELETE, REPLACE];
pub(crate) const DELETE: &str = "$delete";
pub(crate) const REPLACE: &str = "$replace";

type Decoded<T> = Result<T, Reported>;

impl Decoder<'_, '_> {
    /// The value of `node`, in the form that `schema` asks for.
    pub(crate) fn value(&mut self, node: &Node, schema: &Value) -> Decoded<Value> {
        if matches!(node.data, Data::Invalid) {
            return Err(Reported);
        }
        let (schema, optional) = required_part(schema);
        if schema.get("x-secret").is_some() {
            self.report.mask(node);
        }
        if node.is_null() && (optional || self.partial) {
            return Ok(Value::Null);
        }
        if let Some(allowed) = constants(schema) {
            return self.choice(node, &allowed);
        }
        match type_of(schema) {
            Some("string") => self.text(node, schema),
            Some("integer") => self.integer(node, schema),
            Some("boolean") => self.boolean(node),
            Some("array") => self.list(node, schema),
            Some("object") => self.mapping(node, schema),
            _ => self.any(node),
        }
    }

    fn fail<T>(&mut self, node: &Node, finding: Finding) -> Decoded<T> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        self.report.add(node.mark, Some(self.kind), &path, finding);
        Err(Reported)
    }

    fn inside<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.to_owned());
        let result = read(self);
        self.path.pop();
        result
    }

    /// The last named step of the path, for messages.
    fn subject(&self) -> String {
        let name = self.path.iter().rev().find(|step| step.parse::<usize>().is_err());
        name.map_or_else(|| self.kind.to_owned(), |step| format!("`{}`", shorten(step, KEY_SHOWN)))
    }

    fn scalar<'n>(&mut self, node: &'n Node, wanted: &str) -> Decoded<(&'n str, bool)> {
        match &node.data {
            Data::Scalar { text, plain } if !node.is_null() => Ok((text, *plain)),
            _ => {
                let message = format!("{} is {wanted}, and here is {}", self.subject(), node.describe());
                let hint = match node.is_null() {
                    true => "give a value, or remove the key".to_owned(),
                    false => format!("write {wanted}"),
                };
                self.fail(node, Finding::error(Code::WrongType, message, hint))
            }
        }
    }

    fn text(&mut self, node: &Node, schema: &Value) -> Decoded<Value> {
        let (text, _) = self.scalar(node, "a text")?;
        let format = schema.get("format").and_then(Value::as_str).and_then(formats::find);
        let Some(format) = format else { return Ok(text.into()) };
        let Err(refusal) = (format.check)(text) else { return Ok(text.into()) };
        let message = format!("{} has a wrong value: {}", self.subject(), refusal.reason);
        let hint = match &refusal.suggestion {
            Some(better) => format!("did you mean {better}?"),
            None => format!("write {}", format.allowed),
        };
        let finding = Finding::error(Code::BadValue, message, hint).allowed(format.allowed);
        let finding = if format.secret { finding } else { finding.value(text) };
        self.fail(node, finding.suggest(refusal.suggestion))
    }

    fn choice(&mut self, node: &Node, allowed: &[&str]) -> Decoded<Value> {
        let (text, _) = self.scalar(node, "a word")?;
        if allowed.contains(&text) {
            return Ok(text.into());
        }
        let message = format!("{} cannot be {:?}", self.subject(), shorten(text, KEY_SHOWN));
        let near = nearest(text, allowed.iter().copied());
        let hint = match near {
            Some(near) => format!("did you mean {near}?"),
            None => format!("write one of {}", allowed.join(", ")),
        };
        let finding = Finding::error(Code::BadValue, message, hint).value(text).allowed(allowed.join(", "));
        self.fail(node, finding.suggest(near.map(str::to_owned)))
    }

    fn integer(&mut self, node: &Node, schema: &Value) -> Decoded<Value> {
        let (text, plain) = self.scalar(node, "a whole number")?;
        let number = if plain { text.parse::<i64>().ok() } else { None };
        let range = Range::of(schema);
        let Some(number) = number else {
            let message =
                format!("{} is a whole number, and here is {:?}", self.subject(), shorten(text, KEY_SHOWN));
            let bare = text.trim().parse::<i64>().ok().map(|number| number.to_string());
            let hint = match &bare {
                Some(bare) => format!("did you mean {bare}, without quotes?"),
                None => format!("write {range}"),
            };
            let finding =
                Finding::error(Code::WrongType, message, hint).value(text).allowed(range.to_string());
            return self.fail(node, finding.suggest(bare));
        };
        if range.holds(number) {
            return Ok(number.into());
        }
        let message = format!("{} is out of range", self.subject());
        let hint = format!("write {range}");
        let finding = Finding::error(Code::OutOfRange, message, hint).value(text).allowed(range.to_string());
        self.fail(node, finding)
    }

    fn boolean(&mut self, node: &Node) -> Decoded<Value> {
        let (text, plain) = self.scalar(node, "true or false")?;
        match (text, plain) {
            ("true", true) => return Ok(true.into()),
            ("false", true) => return Ok(false.into()),
            _ => {}
        }
        let meant = match text.to_lowercase().as_str() {
            "true" | "yes" | "y" | "on" | "1" | "enabled" => Some("true"),
            "false" | "no" | "n" | "off" | "0" | "disabled" => Some("false"),
            other => nearest(other, ["true", "false"]),
        };
        let message =
            format!("{} is true or false, and here is {:?}", self.subject(), shorten(text, KEY_SHOWN));
        let hint = match meant {
            Some(meant) => format!("did you mean {meant}, without quotes?"),
            None => "write true or false".to_owned(),
        };
        let finding = Finding::error(Code::WrongType, message, hint).value(text).allowed("true, false");
        self.fail(node, finding.suggest(meant.map(str::to_owned)))
    }

    fn list(&mut self, node: &Node, schema: &Value) -> Decoded<Value> {
        let Data::Sequence(items) = &node.data else {
            let message = format!("{} is a list, and here is {}", self.subject(), node.describe());
            let hint = match &node.data {
                Data::Scalar { text, .. } if !text.is_empty() && schema.get("x-secret").is_none() => {
                    format!("write [{}]", shorten(text, KEY_SHOWN))
                }
                _ => "write a list: [a, b], or one line with - for each item".to_owned(),
            };
            return self.fail(node, Finding::error(Code::WrongType, message, hint));
        };
        let limit =
            |name| schema.get(name).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
        let (min, max) = (limit("minItems").unwrap_or(0), limit("maxItems").unwrap_or(usize::MAX));
        if items.len() < min || items.len() > max {
            let allowed =
                if items.len() < min { format!("at least {min}") } else { format!("at most {max}") };
            let message = format!("{} has {} items", self.subject(), items.len());
            let hint = format!("give {allowed}");
            return self.fail(node, Finding::error(Code::OutOfRange, message, hint).allowed(allowed));
        }
        let each = schema.get("items").unwrap_or(&Value::Null);
        let read =
            |(index, item): (usize, &Node)| self.inside(&index.to_string(), |this| this.value(item, each));
        // Every item is read before the first failure counts.
        let values: Vec<Decoded<Value>> = items.iter().enumerate().map(read).collect();
        values.into_iter().collect::<Decoded<Vec<Value>>>().map(Value::Array)
    }

    fn mapping(&mut self, node: &Node, schema: &Value) -> Decoded<Value> {
        let Data::Mapping(entries) = &node.data else {
            let message = format!("{} is a mapping, and here is {}", self.subject(), node.describe());
            let hint = "write keys and values, indented below it";
            return self.fail(node, Finding::error(Code::WrongType, message, hint));
        };
        let (values, missing) = match schema.get("properties").and_then(Value::as_object) {
            Some(properties) if self.partial => (self.fields(entries, properties), Ok(())),
            Some(properties) => (self.fields(entries, properties), self.missing(node, schema)),
            None => (self.free_keys(entries, schema), Ok(())),
        };
        missing.and(values)
    }

    fn fields(&mut self, entries: &[Entry], properties: &Map<String, Value>) -> Decoded<Value> {
        let mut values = Map::new();
        let mut result = Ok(());
        let top = self.path.is_empty();
        for entry in entries.iter().filter(|entry| !(top && is_header(&entry.key))) {
            match properties.get(&entry.key) {
                Some(schema) => match self.inside(&entry.key, |this| this.value(&entry.value, schema)) {
                    Ok(Value::Null) if !self.partial => {}
                    Ok(value) => drop(values.insert(entry.key.clone(), value)),
                    Err(reported) => result = Err(reported),
                },
                None if self.partial && DIRECTIVES.contains(&entry.key.as_str()) => {
                    match self.inside(&entry.key, |this| this.boolean(&entry.value)) {
                        Ok(value) => drop(values.insert(entry.key.clone(), value)),
                        Err(reported) => result = Err(reported),
                    }
                }
                None => result = self.unknown_key(entry, properties),
            }
        }
        result.map(|()| Value::Object(values))
    }

    fn unknown_key(&mut self, entry: &Entry, properties: &Map<String, Value>) -> Decoded<()> {
        // It may be a mistyped name of a secret.
        self.report.mask(&entry.value);
        let mut allowed: Vec<&str> = properties.keys().map(String::as_str).collect();
        allowed.sort_unstable();
        let near = nearest(&entry.key, allowed.iter().copied());
        let owner = if self.path.is_empty() { self.kind.to_owned() } else { self.subject() };
        let message = format!("unknown key `{}` in {owner}", shorten(&entry.key, KEY_SHOWN));
        let hint = match near {
            _ if entry.key == "<<" => "merge keys are not supported; write the values out".to_owned(),
            Some(near) => format!("did you mean {near}?"),
            None => "remove it, or see the reference for where it belongs".to_owned(),
        };
        let finding = Finding::error(Code::UnknownKey, message, hint).allowed(allowed.join(", "));
        let here = Node { mark: entry.mark, data: Data::Invalid };
        self.inside(&entry.key, |this| this.fail(&here, finding.suggest(near.map(str::to_owned))))
    }

    fn missing(&mut self, node: &Node, schema: &Value) -> Decoded<()> {
        let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut result = Ok(());
        for key in required.iter().filter_map(Value::as_str).filter(|key| node.entry(key).is_none()) {
            let owner = if self.path.is_empty() { self.kind.to_owned() } else { self.subject() };
            let message = format!("the key `{key}` is missing in {owner}");
            let mut finding = Finding::error(Code::MissingKey, message, format!("add {key}"));
            finding.allowed = expected(schema.get("properties").and_then(|all| all.get(key)));
            let here = Node { mark: crate::node::Mark { end_line: 0, ..node.mark }, data: Data::Invalid };
            result = self.fail(&here, finding);
        }
        result
    }

    /// A mapping whose keys the user makes up: labels, flags, raw settings.
    fn free_keys(&mut self, entries: &[Entry], schema: &Value) -> Decoded<Value> {
        let form = schema.get("x-keys").and_then(Value::as_str).and_then(formats::find);
        let each = schema.get("additionalProperties").filter(|each| each.is_object()).unwrap_or(&Value::Null);
        let mut values = Map::new();
        let mut result = Ok(());
        for entry in entries {
            if let Some((form, refusal)) = form.and_then(|form| Some((form, (form.check)(&entry.key).err()?)))
            {
                let message = format!("{} has a wrong key: {}", self.subject(), refusal.reason);
                let finding = Finding::error(Code::BadValue, message, format!("write {}", form.allowed));
                let finding = finding.value(&entry.key).allowed(form.allowed).suggest(refusal.suggestion);
                let here = Node { mark: entry.mark, data: Data::Invalid };
                result = self.inside(&entry.key, |this| this.fail(&here, finding));
            }
            match self.inside(&entry.key, |this| this.value(&entry.value, each)) {
                Ok(value) => drop(values.insert(entry.key.clone(), value)),
                Err(reported) => result = Err(reported),
            }
        }
        result.map(|()| Value::Object(values))
    }

    /// A value without a schema: plain scalars mean what YAML's core schema says.
    fn any(&mut self, node: &Node) -> Decoded<Value> {
        match &node.data {
            Data::Invalid => Err(Reported),
            Data::Scalar { text, plain: true } => core_schema(text).map_or_else(
                || {
                    let message = format!("{} is not a number that can be kept", self.subject());
                    let hint = "write a finite number, or put quotes around a text";
                    self.fail(node, Finding::error(Code::BadValue, message, hint).value(text))
                },
                Ok,
            ),
            Data::Scalar { text, plain: false } => Ok(text.clone().into()),
            Data::Sequence(_) => self.list(node, &Value::Null),
            Data::Mapping(entries) => self.free_keys(entries, &Value::Null),
        }
    }
}
