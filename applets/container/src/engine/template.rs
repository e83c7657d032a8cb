//! The subset of Go's text/template that people give to `--format`: fields, `json`, `index`,
//! `len`, `upper`, `lower`, `join`, and `range` over a list or map.

use box_kit::Failure;
use serde_json::Value;

/// A row per value by `format`, or `None` when it asks for docker's own table.
pub fn rows(format: &str, values: &[Value]) -> Result<Option<String>, Failure> {
    if format == "json" {
        return Ok(Some(values.iter().map(|value| format!("{value}\n")).collect()));
    }
    if format == "table" {
        return Ok(None);
    }
    if let Some(columns) = format.strip_prefix("table ") {
        return table(columns, values).map(Some);
    }
    let mut text = String::new();
    for value in values {
        text += &render(format, value)?;
        text.push('\n');
    }
    Ok(Some(text))
}

/// `table {{.ID}}\t{{.Names}}`: the fields' names are the head.
fn table(columns: &str, values: &[Value]) -> Result<String, Failure> {
    let columns: Vec<&str> = columns.split("\\t").flat_map(|part| part.split('\t')).collect();
    let head: Vec<String> = columns
        .iter()
        .map(|column| {
            let name = column.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            name.rsplit(['.', ' ']).next().unwrap_or(name).to_ascii_uppercase()
        })
        .collect();
    let mut rows = Vec::new();
    for value in values {
        rows.push(
            columns.iter().map(|column| render(column, value)).collect::<Result<Vec<_>, _>>()?,
        );
    }
    Ok(crate::table::render(&head, rows))
}

/// Renders one value.
pub fn render(format: &str, value: &Value) -> Result<String, Failure> {
    let mut text = String::new();
    let format = unescape(format);
    let rest = block(&format, value, &mut text)?;
    if rest.is_empty() { Ok(text) } else { Err(bad(&format, "unexpected {{end}}")) }
}

fn unescape(format: &str) -> String {
    format.replace("\\n", "\n").replace("\\t", "\t")
}

fn bad(format: &str, why: &str) -> Failure {
    Failure::new(format!("template parsing error: {why}")).about(format!("{format:?}"))
}

/// Renders up to the `{{end}}` that closes the block, or to the end; returns what is left.
fn block<'f>(format: &'f str, value: &Value, text: &mut String) -> Result<&'f str, Failure> {
    let mut rest = format;
    while let Some((plain, after)) = rest.split_once("{{") {
        text.push_str(plain);
        let (action, after) =
            after.split_once("}}").ok_or_else(|| bad(format, "unclosed action"))?;
        let action = action.trim_matches('-').trim();
        rest = after;
        match action.split_once(' ').unwrap_or((action, "")) {
            ("end", _) => return Ok(rest),
            ("range", path) => rest = range(rest, &expression(path.trim(), value, format)?, text)?,
            _ => text.push_str(&shown(&expression(action, value, format)?)),
        }
    }
    text.push_str(rest);
    Ok("")
}

fn range<'f>(body: &'f str, list: &Value, text: &mut String) -> Result<&'f str, Failure> {
    let items: Vec<&Value> = match list {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    let mut sink = String::new();
    let rest = block(body, &Value::Null, &mut sink)?;
    for item in items {
        block(body, item, text)?;
    }
    Ok(rest)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}:{}", shown(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        other => other.to_string(),
    }
}

fn expression(text: &str, value: &Value, format: &str) -> Result<Value, Failure> {
    let words = words(text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let argument = |word: &str| operand(word, value, format);
    Ok(match words.as_slice() {
        [word] => argument(word)?,
        ["json", word] => Value::String(argument(word)?.to_string()),
        ["upper", word] => Value::String(shown(&argument(word)?).to_uppercase()),
        ["lower", word] => Value::String(shown(&argument(word)?).to_lowercase()),
        ["len", word] => match argument(word)? {
            Value::Array(items) => items.len().into(),
            Value::Object(fields) => fields.len().into(),
            other => shown(&other).len().into(),
        },
        ["join", list, separator] => {
            let Value::Array(items) = argument(list)? else { return Ok(Value::Null) };
            let items: Vec<String> = items.iter().map(shown).collect();
            Value::String(items.join(&shown(&argument(separator)?)))
        }
        ["index", of, keys @ ..] => {
            let mut found = argument(of)?;
            for key in keys {
                let key = argument(key)?;
                found = match (&found, &key) {
                    (Value::Array(items), Value::Number(number)) => {
                        let place = number.as_u64().unwrap_or(u64::MAX) as usize;
                        items.get(place).cloned().unwrap_or(Value::Null)
                    }
                    (found, key) => found.get(shown(key)).cloned().unwrap_or(Value::Null),
                };
            }
            found
        }
        _ => return Err(bad(format, &format!("cannot evaluate {text:?}"))),
    })
}

/// Words, with `"quoted ones"` kept with their quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.push(letter);
            }
            ' ' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            letter => word.push(letter),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn operand(word: &str, value: &Value, format: &str) -> Result<Value, Failure> {
    if let Some(text) = word.strip_prefix('"') {
        return Ok(Value::String(text.trim_end_matches('"').to_owned()));
    }
    if let Ok(number) = word.parse::<i64>() {
        return Ok(number.into());
    }
    let Some(path) = word.strip_prefix('.') else {
        return Err(bad(format, &format!("function {word:?} not defined")));
    };
    let mut found = value;
    for name in path.split('.').filter(|name| !name.is_empty()) {
        let Some(next) = found.get(name) else {
            if found.is_object() && value.is_object() && path == name {
                return Err(bad(format, &format!("can't evaluate field {name}")));
            }
            return Ok(Value::Null);
        };
        found = next;
    }
    Ok(found.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(format: &str) -> String {
        let value = json!({"Id": "abc", "State": {"Pid": 7, "Ok": true}, "L": ["x", "y"],
            "M": {"a-b": "v"}});
        render(format, &value).unwrap_or_else(|failure| failure.to_string())
    }

    #[test]
    fn templates_are_rendered() {
        assert_eq!(shown("{{.Id}} {{ .State.Pid }}"), "abc 7");
        assert_eq!(shown("{{json .State}}"), r#"{"Ok":true,"Pid":7}"#);
        assert_eq!(shown(r#"{{index .M "a-b"}}{{upper .Id}}"#), "vABC");
        assert_eq!(shown("{{range .L}}<{{.}}>{{end}}!"), "<x><y>!");
        assert_eq!(shown(r#"{{join .L ","}} {{len .L}}\t{{.State.None}}"#), "x,y 2\t<no value>");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        assert!(shown("{{.Nope}}").contains("can't evaluate field Nope"));
        assert!(shown("{{nope .Id}}").contains("template parsing error"));
        assert!(shown("{{.Id").contains("unclosed action"));
    }
}
