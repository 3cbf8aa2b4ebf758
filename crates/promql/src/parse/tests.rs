use crate::ast::Expr;
use crate::{Guard, ParseError, Position, parse, parse_selector};

/// Error messages of Prometheus 3.16.
#[test]
fn errors_and_their_places_are_those_of_prometheus() {
    for (text, error) in [
        (
            "a offset 1e999",
            "1:10: parse error: error parsing number: strconv.ParseFloat: parsing \"1e999\": value out of range",
        ),
        ("a[1e99]", "1:3: parse error: duration out of range"),
        ("a offset inf", "1:10: parse error: duration out of range"),
        (
            "a[18446744073709551616]",
            "1:3: parse error: duration out of range",
        ),
        ("a[0s]", "1:3: parse error: duration must be greater than 0"),
        (
            "a[-5m]",
            "1:3: parse error: duration must be greater than 0",
        ),
        (
            "a[5m:0s]",
            "1:6: parse error: duration must be greater than 0",
        ),
        (
            "a @ inf",
            "1:1: parse error: timestamp out of bounds for @ modifier: +Inf",
        ),
        (
            "a and fill(0) b",
            "1:1: parse error: filling in missing series not allowed for set operators",
        ),
        (
            "a or 1",
            "1:1: parse error: set operator \"or\" not allowed in binary scalar expression",
        ),
        (
            "1 == 1",
            "1:3: parse error: comparisons between scalars must use BOOL modifier",
        ),
        (
            "1 + bool 1",
            "1:3: parse error: bool modifier can only be used on comparison operators",
        ),
        (
            "-\"x\"",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
        ),
        ("((1)", "1:5: parse error: unclosed left parenthesis"),
        ("(", "1:2: parse error: unclosed left parenthesis"),
        ("1+", "1:3: parse error: unexpected end of input"),
        ("*1", "1:1: parse error: unexpected <op:*>"),
        (".", "1:1: parse error: unexpected character: '.'"),
        (
            "2.5.",
            "1:1: parse error: bad number or duration syntax: \"2.5.\"",
        ),
        (
            "foo offset 1s offset 2s",
            "1:1: parse error: offset may not be set multiple times",
        ),
        (
            "1 offset 1d",
            "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        (
            "a - on(b) ignoring(c) d",
            "1:11: parse error: unexpected <ignoring>",
        ),
        (
            "foo{,}",
            "1:5: parse error: unexpected \",\" in label matching, expected identifier or \"}\"",
        ),
        (
            "foo{a>=\"b\"}",
            "1:6: parse error: unexpected character inside braces: '>'",
        ),
        (
            "foo{a}",
            "1:6: parse error: unexpected \"}\" in label matching, expected label matching operator",
        ),
        (
            "foo{a=\"b\" c=\"d\"}",
            "1:11: parse error: unexpected identifier \"c\" in label matching, expected \",\" or \"}\"",
        ),
        (
            "foo{a=b}",
            "1:7: parse error: unexpected identifier \"b\" in label matching, expected string",
        ),
        (
            "foo{a=\"b\"",
            "1:10: parse error: unexpected end of input inside braces",
        ),
        (
            "foo{__name__=\"bar\"}",
            "1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\"",
        ),
        (
            "{}",
            "1:1: parse error: vector selector must contain at least one non-empty matcher",
        ),
        (
            "{a=~\".*\"}",
            "1:1: parse error: vector selector must contain at least one non-empty matcher",
        ),
        ("test[5d", "1:8: parse error: unclosed left bracket"),
        (
            "foo[5mm]",
            "1:5: parse error: bad number or duration syntax: \"5mm\"",
        ),
        (
            "foo[5m] offset 1d[5m]",
            "1:18: parse error: ranges only allowed for vector selectors",
        ),
        (
            "foo offset 1d[5m]",
            "1:14: parse error: no offset modifiers allowed before range",
        ),
        (
            "foo[5m][5m:1m]",
            "1:1: parse error: subquery is only allowed on instant vector, got matrix instead",
        ),
        (
            "sum()",
            "1:1: parse error: no arguments for aggregate expression provided",
        ),
        (
            "topk(a)",
            "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
        ),
        (
            "sum some_metric by (test)",
            "1:5: parse error: unexpected identifier \"some_metric\"",
        ),
        (
            "sum by (1) (b)",
            "1:9: parse error: unexpected number \"1\" in grouping opts, expected label",
        ),
        (
            "floor()",
            "1:1: parse error: expected 1 argument(s) in call to \"floor\", got 0",
        ),
        (
            "hour(1, 2)",
            "1:1: parse error: expected at most 1 argument(s) in call to \"hour\", got 2",
        ),
        (
            "label_join(a, \"b\")",
            "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 2",
        ),
        (
            "non_existent(1)",
            "1:1: parse error: unknown function with name \"non_existent\"",
        ),
        (
            "\nrate(foo)",
            "2:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
        ),
        (
            "topk(\"x\", a)",
            "1:6: parse error: expected type scalar in aggregation parameter, got string",
        ),
        (
            "info(a, b)",
            "1:9: parse error: expected label selectors only, got vector selector instead",
        ),
        ("on", "1:1: parse error: unexpected <on>"),
        (
            "foo \"x\"",
            "1:5: parse error: unexpected string \"\\\"x\\\"\"",
        ),
        (
            "a[5m] + 1",
            "1:1: parse error: binary expression must contain only scalar and instant vector types",
        ),
        (
            "a and on(x) group_left b",
            "1:1: parse error: no grouping allowed for \"and\" operation",
        ),
        (
            "a * on(x) group_left(x) b",
            "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once",
        ),
        (
            "1 * on(x) a",
            "1:1: parse error: vector matching only allowed between instant vectors",
        ),
        (
            "\"unterminated",
            "1:1: parse error: unterminated quoted string",
        ),
        (
            "foo{a=\"\\q\"}",
            "1:7: parse error: unknown escape sequence U+0071 'q'",
        ),
        (
            "a!b",
            "1:2: parse error: unexpected character after '!': 'b'",
        ),
        (
            "a =~ b",
            "1:3: parse error: unexpected character after '=': '~'",
        ),
        ("£", "1:1: parse error: unexpected character: '£'"),
        (
            "foo{a=\"b\"}}",
            "1:11: parse error: unexpected character: '}'",
        ),
        ("foo[5m]]", "1:8: parse error: unexpected right bracket ']'"),
        (
            "rate(foo[5m],)",
            "1:13: parse error: trailing commas not allowed in function call args",
        ),
        // Prometheus reports the position behind it.
        ("(1))", "1:4: parse error: unexpected right parenthesis ')'"),
        // Prometheus takes this as 292 years ahead.
        ("a offset NaN", "1:10: parse error: duration out of range"),
        (
            "a[18446744073709551616s]",
            "1:3: parse error: duration out of range",
        ),
        ("", "1:1: parse error: no expression found in input"),
    ] {
        let message = parse(text).expect_err(text).to_string();
        assert_eq!(message, error, "{text}");
    }
}

#[test]
fn what_prometheus_reads_is_read() {
    for (text, printed) in [
        ("1_000_000", "1000000"),
        ("0x1F + 017", "31 + 15"),
        (".5e-3", "0.0005"),
        ("1e3 - 1E-1", "1000 - 0.1"),
        ("up{path=~`/x\\.y`}", "up{path=~\"/x\\\\.y\"}"),
        ("'\\'\"\\x41\\u00e9'", "\"'\\\"Aé\""),
        ("a offset -5m", "a offset -5m"),
        ("a offset 300", "a offset 5m"),
        ("a[300]", "a[5m]"),
        ("a[5m:1m] offset 1h @ 10", "a[5m:1m] @ 10.000 offset 1h"),
        ("a @ -3", "a @ -3.000"),
        ("a + on(x) fill_left(1) b", "a + on (x) fill_left (1) b"),
        ("-1^2", "-1 ^ 2"),
        ("2^3^2", "2 ^ 3 ^ 2"),
        ("a-b-c*d", "a - b - c * d"),
        ("sum by (a,) (b)", "sum by (a) (b)"),
        ("sum(b) without (a)", "sum without (a) (b)"),
        ("label_join(a, \"b\", \"c\")", "label_join(a, \"b\", \"c\")"),
        ("info(a, {b=\"c\"})", "info(a, {b=\"c\"})"),
        ("sum + by + offset", "sum + by + offset"),
        ("inf", "+Inf"),
        ("a:b:c{d=\"e\",}", "a:b:c{d=\"e\"}"),
        ("a # comment", "a"),
        ("1h30m + 1", "5400 + 1"),
        ("start + end(  )", "start + end()"),
    ] {
        let query = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(query.to_string(), printed, "{text}");
    }
}

/// `expr` with brackets around each operator.
fn bracketed(expr: &Expr) -> String {
    match expr {
        Expr::Binary(one) => {
            format!(
                "({} {} {})",
                bracketed(&one.lhs),
                one.op.text(),
                bracketed(&one.rhs)
            )
        }
        Expr::Unary(one) => format!("(-{})", bracketed(&one.expr)),
        other => other.to_string(),
    }
}

#[test]
fn operators_bind_as_in_prometheus() {
    for (text, grouped) in [
        ("-a * b", "((-a) * b)"),
        ("-a ^ b", "(-(a ^ b))"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("a - b - c", "((a - b) - c)"),
        ("a or b and c", "(a or (b and c))"),
        ("a == b + c", "(a == (b + c))"),
        ("a * b atan2 c", "((a * b) atan2 c)"),
        ("a unless b and c", "((a unless b) and c)"),
    ] {
        let expr = super::parse(text, &Guard::default()).ok().unwrap();
        assert_eq!(bracketed(&expr), grouped, "{text}");
    }
}

#[test]
fn regular_expressions_are_limited_as_they_are_read() {
    let many: Vec<String> = (0..1500)
        .map(|at| format!("b!~\"(?i)\\\\PL{{60}}x{at}\""))
        .collect();
    let error = parse(&format!("a{{{}}}", many.join(",")))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("too large") || error.contains("too many bytes"),
        "{error}"
    );
    assert!(
        parse_selector("a{b=~\"(\"}")
            .unwrap_err()
            .to_string()
            .contains("1:3: parse error")
    );
    let names: Vec<String> = (0..5_000).map(|at| format!("host-{at}")).collect();
    assert!(parse(&format!("a{{b=~\"{}\"}}", names.join("|"))).is_ok());
}

#[test]
fn a_syntax_error_has_its_position_as_a_field() {
    let error = parse("up +\n  é{a=1}").unwrap_err();
    assert_eq!(
        error,
        ParseError::Syntax {
            at: Position {
                line: 2,
                column: 3,
                offset: 7
            },
            reason: "unexpected character: 'é'".into()
        }
    );
    assert_eq!(
        error.to_string(),
        "2:3: parse error: unexpected character: 'é'"
    );
    assert_eq!(
        parse_selector("rate(up[5m])").unwrap_err(),
        ParseError::NotASelector("rate(up[5m])".into())
    );
}
