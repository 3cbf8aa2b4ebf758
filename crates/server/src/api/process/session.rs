//! `/api/v1/session`, `/api/v1/login` and `/api/v1/logout`: users of the web page.

use hyper::StatusCode;
use hyper::header::{HeaderValue, SET_COOKIE};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::endpoints::parameter::{Parameter, text};
use crate::api::query::bad_data;
use crate::api::request::RequestContext;
use crate::api::response::{self, ApiError, HttpResponse, internal};
use crate::audit::{Actor, AuditEntry};
use crate::auth::identity::{Authentication, Identity};
use crate::auth::proxy::MAX_USER;
use crate::auth::role::Role;

pub(crate) const LOGIN: &[Parameter] = &[
    text("user", "name of a user of `basic_auth_users`")
        .in_body()
        .required(),
    text("password", "password").in_body().required(),
];

/// Maximum length of a password in bytes; bcrypt uses the first 72.
const MAX_PASSWORD: usize = 1024;

/// Body of `POST /api/v1/login`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginRequest {
    user: String,
    password: String,
}

/// Responds with the user and the role of the client.
///
/// # Errors
/// The client sends too many requests, or a wrong password.
pub(crate) async fn show(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let identity = match request.identify().await {
        Ok(identity) => Some(identity),
        Err(error) if error.status == StatusCode::UNAUTHORIZED => None,
        Err(error) => return Err(error),
    };
    let data = view(request, identity.as_ref());
    Ok(response::success(&data, request.coding()?, None))
}

/// Starts a session of the user in the body.
///
/// # Errors
/// The user or the password is wrong, or a page of another site sent the request.
pub(crate) async fn login(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    request.check_rate()?;
    request.check_site(&Identity::ADDRESS)?;
    let body = request.json_body().await?;
    let LoginRequest { user, password } =
        serde_json::from_slice(&body).map_err(|error| bad_data(error.to_string()))?;
    if user.len() > MAX_USER || password.len() > MAX_PASSWORD {
        return Err(bad_data("the user or the password is too long"));
    }
    let result = start(request, &user, password).await;
    match &result {
        Ok(_) => audit(request, "login", &user, Authentication::Password),
        Err(error) => request.audit_rejected_login(&user, error),
    }
    let cookie = result?;
    let role = request.access.web.role(&user);
    let identity = Identity::user(user, Authentication::Session, role);
    with_cookie(view(request, Some(&identity)), request, &cookie)
}

/// Checks the password, ends the session that the client has, and starts one with a new id.
async fn start(
    request: &RequestContext<'_>,
    user: &str,
    password: String,
) -> Result<String, ApiError> {
    let web = &request.access.web;
    let Some(users) = &web.users else {
        let message = "there is nobody to log in: no users are configured";
        return Err(ApiError::new(StatusCode::NOT_FOUND, message)
            .hint("set basic_auth_users in the web configuration file"));
    };
    request
        .check_password(users, (user.to_owned(), password))
        .await?;
    let (sessions, secure) = (&request.shared.sessions, request.is_secure());
    sessions.end(&request.parts.headers, secure);
    let now = request.shared.registry.now();
    let started = sessions.start(user, users, &web.sessions, secure, now);
    // That of the browser before, and one that made room.
    request.shared.session_ended();
    started.ok_or_else(|| internal("the session cannot be started: no randomness"))
}

/// Ends the session of the client, if there is one.
///
/// # Errors
/// A page of another site sent the request.
pub(crate) async fn logout(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    request.check_rate()?;
    request.check_site(&Identity {
        auth: Authentication::Session,
        ..Identity::ADDRESS
    })?;
    let (headers, secure) = (&request.parts.headers, request.is_secure());
    let (user, cookie) = request.shared.sessions.end(headers, secure);
    request.shared.session_ended();
    if let Some(user) = user {
        audit(request, "logout", &user, Authentication::Session);
    }
    with_cookie(view(request, None), request, &cookie)
}

/// Returns the data of all three; `identity` is none of a client that has to log in.
fn view(request: &RequestContext<'_>, identity: Option<&Identity>) -> Value {
    let role = identity.map(|identity| request.role(identity));
    json!({
        "user": identity.and_then(|identity| identity.user.as_deref()),
        "role": role.map(Role::as_str),
        "may_change": role > Some(Role::Viewer),
        "login": request.access.web.users.is_some(),
    })
}

fn with_cookie(
    data: Value,
    request: &RequestContext<'_>,
    cookie: &str,
) -> Result<HttpResponse, ApiError> {
    let mut response = response::success(&data, request.coding_or_identity(), None);
    let cookie = HeaderValue::from_str(cookie).map_err(|error| internal(error.to_string()))?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

fn audit(request: &RequestContext<'_>, action: &'static str, user: &str, auth: Authentication) {
    let actor = Actor {
        user: Some(user.to_owned()),
        auth: Some(auth.as_str()),
        ..request.client_of_entry()
    };
    let done: Result<(), ApiError> = Ok(());
    let what = format!("{action} of {user:?}");
    request
        .shared
        .backend
        .audit(AuditEntry::of(action, what, actor, &done));
}
