-- Sessions of the viewer's page that have not ended. See viewer/access/sessions.py.
CREATE TABLE sessions (
    digest  bytea       PRIMARY KEY, -- SHA-256 of the cookie
    ends_at timestamptz NOT NULL
);
