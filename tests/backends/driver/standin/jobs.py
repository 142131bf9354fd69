"""Batch jobs, in threads of the server; the next server finds their files."""

# mypy: disallow-subclassing-any=False
# (openeo_driver is not installed where types are checked)

from __future__ import annotations

import copy
import json
import logging
import shutil
import threading
import traceback
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from openeo_driver.backend import BatchJobMetadata, BatchJobs, JobListing
from openeo_driver.errors import JobNotFinishedException, JobNotFoundException
from openeo_driver.save_result import SaveResult, to_save_result
from openeo_driver.utils import EvalEnv

from standin.joblog import JobLog
from standin.udfs import UdfError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from openeo_driver.users import User

    from standin.backend import Backend

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Job:
    """What is known of a job."""

    metadata: BatchJobMetadata
    api_version: str
    log: JobLog
    assets: dict[str, dict[str, Any]] = field(default_factory=dict)


class ThreadedJobs(BatchJobs):
    """Jobs in threads; those that run when the server ends have failed."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._jobs: dict[str, Job] = {}
        self.backend: Backend
        for note in folder.glob("*.json"):
            self._remember(note)

    def _remember(self, note: Path) -> None:
        """Read what became of a job of the server before."""
        kept = json.loads(note.read_text("utf-8"))
        created = datetime.fromisoformat(kept["created"])
        metadata = BatchJobMetadata(id=note.stem, status=kept["status"], created=created)
        job = self._jobs[note.stem] = Job(metadata, kept["api_version"], JobLog(), kept["assets"])
        if job.metadata.status == "running":
            job.log.add("error", "the back-end was started anew while the job ran; run it again")
            self._set(job, status="error")

    def create_job(
        self,
        *,
        user: User,
        process: dict[str, Any],
        api_version: str,
        metadata: dict[str, Any],
        job_options: dict[str, Any] | None = None,
    ) -> BatchJobMetadata:
        """Keep a graph and its options."""
        described = BatchJobMetadata(
            id=f"j-{uuid.uuid4().hex}",
            status="created",
            created=datetime.now(UTC),
            process=process,
            job_options=job_options or {},
            title=metadata.get("title"),
            description=metadata.get("description"),
        )
        log = JobLog(metadata.get("log_level", "info"))
        self._jobs[described.id] = Job(described, api_version, log)
        return described

    def get_job_info(self, job_id: str, user_id: str) -> BatchJobMetadata:
        """Describe a job."""
        return self._job(job_id).metadata

    def get_user_jobs(
        self, user_id: str, limit: int | None = None, request_parameters: Any = None
    ) -> JobListing:
        """List the jobs; there is one user."""
        return JobListing([job.metadata for job in self._jobs.values()])

    def start_job(self, job_id: str, user: User) -> None:
        """Run a job in a thread."""
        job = self._job(job_id)
        self._set(job, status="running", started=datetime.now(UTC))
        threading.Thread(target=self._run, args=(job, user), daemon=True).start()

    def get_result_assets(self, job_id: str, user_id: str) -> dict[str, dict[str, Any]]:
        """Describe the files of a job that has finished."""
        job = self._job(job_id)
        if job.metadata.status != "finished":
            raise JobNotFinishedException
        return job.assets

    def get_log_entries(
        self,
        job_id: str,
        *,
        user_id: str,
        offset: str | None = None,
        limit: str | None = None,
        level: str = "debug",
    ) -> Iterable[dict[str, Any]]:
        """Return what a job has said."""
        return self._job(job_id).log.least(level)

    def cancel_job(self, job_id: str, user_id: str) -> None:
        """Do nothing: a thread cannot be stopped."""

    def delete_job(self, job_id: str, user_id: str) -> None:
        """Forget a job and its files."""
        self._job(job_id)
        del self._jobs[job_id]
        shutil.rmtree(self._folder / job_id, ignore_errors=True)
        self._note(job_id).unlink(missing_ok=True)

    def _note(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"

    def _job(self, job_id: str) -> Job:
        if job_id not in self._jobs:
            raise JobNotFoundException(job_id=job_id)
        return self._jobs[job_id]

    def _set(self, job: Job, **changes: Any) -> None:
        changed = job.metadata._replace(updated=datetime.now(UTC), **changes)
        kept = {
            "status": changed.status,
            "created": changed.created.isoformat(),
            "api_version": job.api_version,
            "assets": job.assets,
        }
        note = self._note(changed.id)
        part = note.with_suffix(".part")
        part.write_text(json.dumps(kept), "utf-8")
        part.replace(note)
        job.metadata = changed

    def _run(self, job: Job, user: User) -> None:
        try:
            job.assets = self._evaluate(job, user)
        except UdfError as error:
            job.log.add("error", str(error), data={"traceback": error.traceback}, code="UDF")
            status = "error"
        except Exception as error:  # noqa: BLE001 - a job's failure is its user's to read
            _log.exception("job %s failed", job.metadata.id)
            job.log.add("error", str(error), data={"traceback": traceback.format_exc()})
            status = "error"
        else:
            status = "finished"
        self._set(job, status=status, finished=datetime.now(UTC))

    def _evaluate(self, job: Job, user: User) -> dict[str, dict[str, Any]]:
        folder = self._folder / job.metadata.id
        folder.mkdir(parents=True)
        # The evaluation writes into the graph.
        graph = copy.deepcopy((job.metadata.process or {})["process_graph"])
        env = EvalEnv(
            {
                "backend_implementation": self.backend,
                "version": job.api_version,
                "openeo_api_version": job.api_version,
                "user": user,
                "require_bounds": True,
                "node_caching": False,
                "job_options": job.metadata.job_options,
                "job_log": job.log,
            }
        )
        results = self.backend.processing.evaluate(graph, env)
        assets: dict[str, dict[str, Any]] = {}
        for result in results if isinstance(results, list) else [results]:
            saved = result if isinstance(result, SaveResult) else to_save_result(result)
            assets |= saved.write_assets(folder)
        return assets
