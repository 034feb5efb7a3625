-- Results of rehearsals: the line of a step; and of each task the newest one, the newest without a fault, and the service that its steps
-- reported about, by which the tasks of one service share a proof.
ALTER TABLE step_runs ADD COLUMN proof TEXT;
ALTER TABLE task_facts ADD COLUMN subject TEXT;
ALTER TABLE task_facts ADD COLUMN proof TEXT;
ALTER TABLE task_facts ADD COLUMN proved TEXT;
