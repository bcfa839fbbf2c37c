from setuptools import find_packages, setup

package = "refine_node"

setup(
    name=package,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={package: ["weights/*.onnx"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package}"]),
        (f"share/{package}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="Pose Pipeline Maintainers",
    maintainer_email="maintainers@posepipeline.org",
    description="People in 3D made smooth and bone-consistent, causally, one person at a time.",
    license="Apache-2.0",
    entry_points={"console_scripts": ["refine = refine_node.node:main"]},
)
