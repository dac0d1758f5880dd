#!/bin/bash
# One study on machines of SLURM:  sbatch slurm.sh plan.yaml   Given again, it continues the same study.
#SBATCH --job-name=nas
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# The environment with this package, on a disk that all machines share; the database's password is in ~/.pgpass.
. "${NAS_ENVIRONMENT:-$HOME/nas}/bin/activate"
export NAS_STORAGE=${NAS_STORAGE:-postgresql://nas@database/nas}

# A token for this job only; the file must be on a disk that all machines share.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=${SLURM_SUBMIT_DIR:-$PWD}/nas-token-$SLURM_JOB_ID
(umask 077; python -c "import secrets; print(secrets.token_hex(32))" > "$RAY_AUTH_TOKEN_PATH")
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT

# If the job was interrupted here, Ray may still run. This ends Ray on whole machines, as the end of the job does, too.
srun --ntasks="$SLURM_JOB_NUM_NODES" ray stop --force > /dev/null

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 20000))
# Every machine offers the target, so the study measures on one of them; name a constraint if they differ.
srun --ntasks="$SLURM_JOB_NUM_NODES" --kill-on-bad-exit=1 \
    ray symmetric-run --address "$head:$port" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --resources='{"target:local": 1}' -- \
    nas search "$1" artifacts.root="${NAS_FILES:-$PWD/nas_artifacts}" --or-resume --address auto
