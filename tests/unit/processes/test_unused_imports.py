"""Processes of the program do without what Keras, TensorFlow and Beam import and do not need."""

import subprocess
import sys


def test_only_what_is_needed_is_imported_with_keras():
    code = (
        "import sys\n"
        "from albert_core.processes.unused_imports import skip_unused_imports\n"
        "skip_unused_imports()\n"
        "import keras\n"
        "print(*(n for n in ('matplotlib', 'sklearn') if n in sys.modules))\n"
        "import matplotlib, sklearn.metrics\n"
        "assert sklearn.metrics.f1_score([1], [1]) == 1\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "\n"), result.stderr


def test_workers_of_beam_import_no_client_of_a_cloud_which_others_then_do():
    code = (
        "import sys\n"
        "from albert_core.processes.unused_imports import skip_cloud_clients_of_beam\n"
        "skip_cloud_clients_of_beam()\n"
        "skip_cloud_clients_of_beam()\n"
        "import apache_beam.runners.worker.sdk_worker_main\n"
        "clients = ('boto3', 'google.cloud.bigquery', 'google.cloud.storage')\n"
        "print(*(name for name in clients if name in sys.modules))\n"
        "from google.cloud import storage\n"
        "assert storage.Client\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "\n", "")
