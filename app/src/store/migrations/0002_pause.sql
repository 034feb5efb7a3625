-- Whether Auto was on when everything was paused, so that it comes back on with the rest.
ALTER TABLE tasks ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
