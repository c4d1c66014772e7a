//! References to environment variables: `${NAME}`, `${env:NAME}` and `${NAME:-default}`.
//!
//! spec: configuration/data-model.md#environment-variable-substitution

use telemark_sdk::config::Env;

/// The maximum number of bytes that all values together may have after substitution: small texts can refer to large variables.
const MAX_BYTES: usize = 4 << 20;

const ACCEPTED: &str = "expected ${NAME}, ${env:NAME} or ${NAME:-default}, or $$ for a dollar sign";

/// Replaces the references of one file.
pub(crate) struct Substitution<'e> {
    env: &'e Env,
    bytes: usize,
}

impl<'e> Substitution<'e> {
    pub(crate) fn new(env: &'e Env) -> Self {
        Substitution { env, bytes: 0 }
    }

    /// Returns the text of a value with all references replaced, and the names of the variables that it refers to.
    ///
    /// # Errors
    /// Fails if a reference is malformed, or if the variable is not UTF-8. The message contains no value.
    pub(crate) fn apply(&mut self, value: &str) -> Result<(String, Vec<String>), String> {
        let (mut result, mut names) = (String::new(), Vec::new());
        // spec: `$$` is a dollar sign that begins no reference, wherever it stands
        for (index, part) in value.split("$$").enumerate() {
            if index > 0 {
                result.push('$');
            }
            self.part(part, &mut result, &mut names)?;
        }
        self.bytes = self.bytes.saturating_add(result.len());
        if self.bytes > MAX_BYTES {
            return Err(format!("the values of all variables are too long: expected at most {MAX_BYTES} bytes"));
        }
        Ok((result, names))
    }

    /// Returns true if the text is nothing but a reference without a default.
    pub(crate) fn is_reference(value: &str) -> bool {
        let name = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        name.is_some_and(|name| !name.contains(['$', '}', '{']) && !name.contains(":-"))
    }

    /// Replaces the references in a text without `$$`. The values of variables are not searched for further references.
    fn part(&self, mut rest: &str, result: &mut String, names: &mut Vec<String>) -> Result<(), String> {
        while let Some(start) = rest.find("${") {
            let after = &rest[start + 2..];
            // Without an end, and without a name, this is no reference.
            let Some(end) = after.find('}') else { break };
            result.push_str(&rest[..start]);
            match &after[..end] {
                "" => result.push_str("${}"),
                reference => {
                    let (name, default) = parse(reference)?;
                    match self.env.verbatim(name).map_err(|_| format!("the variable {name} is not text in UTF-8"))? {
                        Some(value) => result.push_str(&value),
                        None => result.push_str(default),
                    }
                    names.push(name.to_owned());
                }
            }
            if self.bytes.saturating_add(result.len()) > MAX_BYTES {
                return Ok(());
            }
            rest = &after[end + 1..];
        }
        result.push_str(rest);
        Ok(())
    }
}

/// Returns the name and the default of a reference.
fn parse(reference: &str) -> Result<(&str, &str), String> {
    let (name, default) = reference.split_once(":-").unwrap_or((reference, ""));
    let plain = name.strip_prefix("env:").unwrap_or(name);
    let is_name =
        plain.bytes().all(is_of_name) && plain.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_default = !default.chars().any(|character| character.is_control() && character != '\t');
    if is_name && is_default {
        return Ok((plain, default));
    }
    // Anything behind the name may be a secret, as in `${API_KEY-secret}`.
    let start = name.len() - plain.len();
    let length = reference[start..].bytes().take_while(|byte| is_of_name(*byte)).count();
    let (shown, rest) = reference.split_at(start + length);
    let rest = if rest.is_empty() { "" } else { "…" };
    Err(format!("the reference ${{{shown}{rest}}} is malformed, {ACCEPTED}"))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
