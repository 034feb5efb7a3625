-- The definition of a task is one JSON object; a column beside it is one that SQL looks at.
-- What is no JSON stays a text, so that reading the row reports it.
ALTER TABLE tasks ADD COLUMN definition TEXT NOT NULL DEFAULT '';
UPDATE tasks SET definition = json_object(
    'name', name, 'cron', cron, 'zone', zone, 'pool', pool, 'auto', json(iif(auto, 'true', 'false')),
    'on_missed', on_missed, 'keep_runs', keep_runs, 'keep_days', keep_days,
    'steps', json((
        SELECT json_group_array(json_object(
            'name', name, 'command', program, 'args', json(iif(json_valid(args), args, json_quote(args))), 'rule', rule,
            'timeout', timeout_s, 'retries', retries, 'retry_delay', retry_delay_s,
            'env', json(iif(json_valid(env), env, json_quote(env))), 'working_dir', working_dir
        ) ORDER BY position) FROM steps WHERE task_id = tasks.id
    ))
);
ALTER TABLE tasks DROP COLUMN on_missed;
ALTER TABLE tasks DROP COLUMN keep_runs;
ALTER TABLE tasks DROP COLUMN keep_days;
DROP TABLE steps;

ALTER TABLE step_runs ADD COLUMN definition TEXT NOT NULL DEFAULT '';
UPDATE step_runs SET definition = json_object(
    'name', name, 'command', program, 'args', json(iif(json_valid(args), args, json_quote(args))), 'rule', rule,
    'timeout', timeout_s, 'retries', retries, 'retry_delay', retry_delay_s,
    'env', json(iif(json_valid(env), env, json_quote(env))), 'working_dir', working_dir
);
ALTER TABLE step_runs DROP COLUMN name;
ALTER TABLE step_runs DROP COLUMN program;
ALTER TABLE step_runs DROP COLUMN args;
ALTER TABLE step_runs DROP COLUMN rule;
ALTER TABLE step_runs DROP COLUMN timeout_s;
ALTER TABLE step_runs DROP COLUMN retries;
ALTER TABLE step_runs DROP COLUMN retry_delay_s;
ALTER TABLE step_runs DROP COLUMN env;
ALTER TABLE step_runs DROP COLUMN working_dir;
