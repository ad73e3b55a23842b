"""Every generator of conf/generator keeps the contract."""

import importlib
import inspect
import os
import subprocess
import sys
from importlib import resources

import numpy as np
import pandas as pd
import pytest
import yaml
from llm_endpoint import Endpoint
from llm_rows import group, writes_rows
from synthward.generators import Access, TrainView
from synthward.generators.checks import check_generator, specimen
from synthward.generators.spec import GeneratorSpec

# Settings under which a model trains in seconds; the contract does not depend on them.
TINY = {
    "adsgan": {"n_iter": 30},
    "arf": {"num_trees": 10},
    "copulagan": {"epochs": 2},
    "ctgan": {"epochs": 2},
    "ctgan_300": {"epochs": 2},
    "ctgan_3000": {"epochs": 2},
    "ddpm": {"n_iter": 1000, "num_timesteps": 100},
    "dpgan": {"n_iter": 10, "epsilon": 20.0},
    "nflow": {"n_iter": 50},
    "pategan": {"n_iter": 1, "generator_n_iter": 50},
    "rtvae": {"n_iter": 20},
    "tvae": {"epochs": 5},
    "tvae_300": {"epochs": 5},
}
SLOW = {"adsgan", "ddpm", "dpgan", "nflow", "pategan", "privbayes", "rtvae"}

CONFIGS = {
    path.name.removesuffix(".yaml"): yaml.safe_load(path.read_text())
    for path in (resources.files("synthward.conf") / "generator").iterdir()
    if path.name.endswith(".yaml")
}
# Held to the contract in a file of their own: one fine-tunes a model, one wants other replies than rows.
ELSEWHERE = {"great", "llm_specification"}
# Configurations whose parameters deliberately are no defaults of the class.
PUBLISHED = {"ctgan_300", "ctgan_3000", "tvae_300", "gaussian_copula_normal", "privbayes", "precomputed"}
LIBRARY = {
    "gaussian_copula": "sdv.single_table.GaussianCopulaSynthesizer",
    "ctgan": "sdv.single_table.CTGANSynthesizer",
    "tvae": "sdv.single_table.TVAESynthesizer",
    "copulagan": "sdv.single_table.CopulaGANSynthesizer",
    "smote": "imblearn.over_sampling.SMOTENC",
    "bayesian_network": "synthcity.plugins.generic.plugin_bayesian_network.BayesianNetworkPlugin",
    "arf": "synthcity.plugins.generic.plugin_arf.ARFPlugin",
    "ddpm": "synthcity.plugins.generic.plugin_ddpm.TabDDPMPlugin",
    "nflow": "synthcity.plugins.generic.plugin_nflow.NormalizingFlowsPlugin",
    "rtvae": "synthcity.plugins.generic.plugin_rtvae.RTVAEPlugin",
    "adsgan": "synthcity.plugins.privacy.plugin_adsgan.AdsGANPlugin",
    "dpgan": "synthcity.plugins.privacy.plugin_dpgan.DPGANPlugin",
    "pategan": "synthcity.plugins.privacy.plugin_pategan.PATEGANPlugin",
    "privbayes": "synthcity.plugins.privacy.plugin_privbayes.PrivBayesPlugin",
}
# Where a configuration departs from its library's default; each says why in its YAML.
DEPARTURES = {
    ("ctgan", "enable_gpu"),
    ("copulagan", "enable_gpu"),
    ("tvae", "enable_gpu"),
    ("pategan", "teacher_template"),
    ("privbayes", "K"),
}


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory):
    _, split = specimen()
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    split.train.sample(frac=1, random_state=1).to_csv(path, index=False)
    return path


def asking(config, llm):
    """A configuration whose language model, or that of the generator inside, is the one given."""
    filled = {k: asking(v, llm) if isinstance(v, dict) else v for k, v in config.items()}
    return filled | ({"llm": llm} if "llm" in config else {})


@pytest.fixture(scope="module")
def model():
    """A language model that writes rows of the specimen."""
    with Endpoint(writes_rows(specimen()[0], missing=0.2)) as endpoint:
        yield group(endpoint)


def spec_of(name, rows_file, model=None):
    config = asking({**CONFIGS[name], **TINY.get(name, {})}, model)
    if name == "precomputed":
        config["path"] = str(rows_file)
    return GeneratorSpec.parse(config)


CONTRACTS = [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in sorted(CONFIGS.keys() - ELSEWHERE)]


@pytest.mark.parametrize("name", CONTRACTS)
def test_contract(name, rows_file, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    verdicts = list(check_generator(spec_of(name, rows_file, model).build, *specimen()))
    assert [f"{v.name}: {v.message}" for v in verdicts if not v.passed] == []
    assert not list(tmp_path.iterdir()), "leaves files behind in the current folder"


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_every_parameter_can_be_swept(name, rows_file):
    """Hydra overrides only keys that stand in the YAML."""
    config = dict(CONFIGS[name])
    assert config.pop("name") == name
    generator = spec_of(name, rows_file).resolve()
    assert config.keys() - {"_target_"} == inspect.signature(generator).parameters.keys()


@pytest.mark.parametrize("name", sorted(CONFIGS.keys() - PUBLISHED))
def test_configuration_and_class_have_the_same_defaults(name):
    parameters = inspect.signature(GeneratorSpec.parse(CONFIGS[name]).resolve()).parameters.values()
    for parameter in parameters:
        value = CONFIGS[name][parameter.name]
        if parameter.default is not parameter.empty and value != "${llm}":  # a group of its own
            assert (tuple(value) if isinstance(value, list) else value) == parameter.default, parameter.name


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_defaults_are_those_of_the_library(name):
    module, _, attribute = LIBRARY[name].rpartition(".")
    theirs = inspect.signature(getattr(importlib.import_module(module), attribute)).parameters
    for key, value in CONFIGS[name].items():
        if key in ("name", "_target_") or (name, key) in DEPARTURES:
            continue
        default = theirs[key].default
        # SDV's copulas resolve their default to beta only inside.
        default = "beta" if key == "default_distribution" and default is None else default
        assert (tuple(value) if isinstance(value, list) else value) == default, key


def test_a_description_generator_gets_a_view_without_rows():
    schema, split = specimen()
    view = TrainView(schema, split, Access.DESCRIPTION)
    assert not any(isinstance(held, pd.DataFrame) for held in vars(view).values())
    build = GeneratorSpec.parse(CONFIGS["uniform"]).build
    assert len(build().fit(view, 1).sample(7, 1)) == 7


def test_importing_the_generators_loads_no_heavy_library():
    modules = sorted({c["_target_"].rpartition(".")[0] for c in CONFIGS.values()})
    code = f"""
import importlib, sys, threading
for module in {modules!r}: importlib.import_module(module)
heavy = {{"torch", "sdv", "synthcity", "sklearn", "imblearn", "xgboost", "pandas"}} & set(sys.modules)
assert not heavy, heavy
assert threading.active_count() == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


@pytest.mark.parametrize("name", ["gaussian_copula", "arf", "smote"])
def test_learns_more_than_the_marginals(name, rows_file):
    """A dependence that is plain in the train rows survives."""
    schema, split = specimen()
    made = schema.canonical(
        spec_of(name, rows_file).build().fit(TrainView(schema, split, Access.ROWS), 3).sample(400, 4)
    )
    real = np.corrcoef(split.train["age"], split.train["creatinine"])[0, 1]
    assert real > 0.4
    assert np.corrcoef(made["age"], made["creatinine"])[0, 1] > 0.4 * real
