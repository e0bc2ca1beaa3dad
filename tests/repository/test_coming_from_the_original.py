"""docs/coming_from_the_original.md has every flag of the original, and what it names exists."""

import re
from collections.abc import Iterator

import pytest

from pipeline.cli.commands import COMMANDS, CommandGroup
from pipeline.cli.parsing import CommandParser
from tests.helpers.documented import ROOT
from tests.repository.test_component_readmes import settings

TEXT = (ROOT / "docs" / "coming_from_the_original.md").read_text(encoding="utf-8")
_TPU = "use_tpu tpu_name tpu_zone gcp_project master num_tpu_cores"
_SQUAD = f"""spm_model_file albert_config_file output_dir vocab_file train_file predict_file
train_feature_file predict_feature_file predict_feature_left_file init_checkpoint
albert_hub_module_handle do_lower_case max_seq_length doc_stride max_query_length do_train
do_predict train_batch_size predict_batch_size learning_rate num_train_epochs warmup_proportion
save_checkpoints_steps iterations_per_loop n_best_size max_answer_length {_TPU}"""
# The flags that the original's programs define.
FLAGS = {
    "create_pretraining_data": """input_file output_file vocab_file spm_model_file input_file_mode
    do_lower_case do_whole_word_mask do_permutation favor_shorter_ngram random_next_sentence
    max_seq_length ngram max_predictions_per_seq random_seed dupe_factor masked_lm_prob
    short_seq_prob""",
    "run_pretraining": f"""albert_config_file input_file output_dir init_checkpoint max_seq_length
    max_predictions_per_seq do_train do_eval train_batch_size eval_batch_size optimizer
    learning_rate poly_power num_train_steps num_warmup_steps start_warmup_step
    save_checkpoints_steps keep_checkpoint_max iterations_per_loop max_eval_steps init_from_group0
    masked_lm_budget {_TPU}""",
    "run_classifier": f"""data_dir task_name spm_model_file output_dir albert_config_file
    albert_hub_module_handle vocab_file cached_dir init_checkpoint do_lower_case max_seq_length
    do_train do_eval do_predict train_batch_size eval_batch_size predict_batch_size learning_rate
    train_step warmup_step save_checkpoints_steps keep_checkpoint_max iterations_per_loop optimizer
    export_dir threshold_to_export {_TPU}""",
    "run_squad_v1": f"{_SQUAD} use_einsum export_dir",
    "run_squad_v2": "start_n_top end_n_top dropout_prob",  # and those of run_squad_v1
    "run_race": f"""data_dir spm_model_file albert_config_file output_dir task_name vocab_file
    init_checkpoint albert_hub_module_handle train_file eval_file predict_file do_lower_case
    dropout_prob max_seq_length max_qa_length num_keep_checkpoint high_only middle_only do_train
    do_eval do_predict train_batch_size eval_batch_size predict_batch_size learning_rate train_step
    warmup_step save_checkpoints_steps iterations_per_loop optimizer {_TPU}""",
    "export_to_tfhub": "albert_directory export_path checkpoint_name do_lower_case use_einsum",
    "export_checkpoints": "albert_directory export_path checkpoint_name do_lower_case",
}


def rows(program: str) -> Iterator[tuple[str, str]]:
    """Yield flag and second cell of each row about a program."""
    section = re.split(rf"^## {program}\.\w+\n", TEXT, flags=re.MULTILINE)[1].partition("\n## ")[0]
    yield from re.findall(r"^\| `--(\w+)` \| (.*?) \|", section, re.MULTILINE)


@pytest.fixture(scope="module")
def options() -> set[str]:
    """The options of all commands, short names included."""
    commands = [
        command
        for entry in COMMANDS.values()
        for command in (entry.commands.values() if isinstance(entry, CommandGroup) else [entry])
    ]
    names = {
        option
        for command in commands
        for action in CommandParser(command.load()).parser._actions
        for option in action.option_strings
    }
    return names | {"--checkpoint", "--corpus"}


@pytest.mark.parametrize("program", FLAGS)
def test_every_flag_of_a_program_has_one_row(program: str) -> None:
    assert sorted(flag for flag, _ in rows(program)) == sorted(FLAGS[program].split())


def test_every_flag_is_a_setting_an_option_a_command_or_gone_for_a_reason(
    options: set[str],
) -> None:
    for program in (*FLAGS, "run_glue"):
        for flag, here in rows(program):
            names = re.findall(r"`([^`]+)`", here)
            assert here.startswith("gone: ") or names, (program, flag)
            for name in names:
                assert is_known(name, options), (program, flag, name)


def test_names_in_the_text_exist(options: set[str]) -> None:
    notes = "\n".join(line.rpartition("` |")[2] for line in TEXT.splitlines())
    for name in re.findall(r"`((?:\w+\.)+\w+)`", notes):
        if name.partition(".")[0] in {one.partition(".")[0] for one in settings()}:
            assert is_known(name, options), name


def is_known(name: str, options: set[str]) -> bool:
    """Return whether a name is a setting, an option, or a command of this program."""
    if name.startswith("albert "):
        return name.split()[1] in COMMANDS
    return name in options if name.startswith("--") else name in settings()
