-- Addresses that a mail server told to try again later, as a JSON list; NULL: the message goes to all of its channel.
ALTER TABLE outbox ADD COLUMN recipients TEXT;
